"""Splits: complete, disjoint, stratified, and the same for the same identity."""

import pytest
import torch

from das.data import splits
from das.errors import DasError

LABELS = torch.randint(0, 7, (997,), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("fraction", [0.1, 0.2, 1 / 3, 0.5, 0.9])
def test_holdout_divides_every_class_in_proportion(fraction):
    kept, held = splits.holdout(LABELS, fraction, "set", 0)
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(len(LABELS)))
    assert len(held) == int(len(LABELS) * fraction)
    share = torch.bincount(LABELS[held], minlength=7) - torch.bincount(LABELS) * fraction
    assert share.abs().max() <= 1
    assert torch.equal(kept, kept.sort().values)
    assert torch.equal(held, held.sort().values)


def test_halves_differ_by_at_most_one_a_class():
    a, b = splits.halves(LABELS, "set")
    assert (torch.bincount(LABELS[a]) - torch.bincount(LABELS[b])).abs().max() <= 1
    assert abs(len(a) - len(b)) <= 1
    assert not set(a.tolist()) & set(b.tolist())


def test_the_identity_alone_decides():
    first = splits.halves(LABELS, "set", 0)
    torch.manual_seed(99)
    assert all(map(torch.equal, first, splits.halves(LABELS, "set", 0)))
    assert not torch.equal(first[0], splits.halves(LABELS, "set", 1)[0])
    assert not torch.equal(first[0], splits.halves(LABELS, "tes", 0)[0])


def test_members_of_a_class_are_drawn_from_all_of_it():
    # Over many identities each example is held about as often as not: no place in the file is favored.
    held = torch.zeros(len(LABELS))
    for seed in range(200):
        held[splits.halves(LABELS, seed)[1]] += 1
    assert held.min() > 60
    assert held.max() < 140


def test_per_class_takes_that_many_of_each():
    chosen = splits.per_class(LABELS, 20, "set")
    assert torch.bincount(LABELS[chosen]).tolist() == [20] * 7
    assert torch.equal(chosen, chosen.unique())


def test_index_files_round_trip_and_are_tied_to_their_set(tmp_path):
    path = tmp_path / "splits" / "halves.json"
    weights, alpha = splits.halves(LABELS, "set")
    path.parent.mkdir()
    path.write_text(splits.text({"weights": weights, "alpha": alpha}, digest="abc", identity=("set",)))
    read = splits.read(path, digest="abc")
    assert torch.equal(read["weights"], weights)
    assert torch.equal(read["alpha"], alpha)
    with pytest.raises(DasError, match="made for a data set with digest abc, this one has def"):
        splits.read(path, digest="def")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"digest": "abc", "parts": {"a": "b"}}', '{"parts": 3}'])
def test_damaged_index_files_are_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DasError, match=r"x\.json: "):
        splits.read(tmp_path / "x.json", digest="abc")


def test_consecutive_splits_are_cut_as_the_benchmark_cuts_them():
    """Split k trains on images 50 k to 50 k + 29 of each class, in the order of the files; then 20 to validate on."""
    labels = torch.randint(0, 7, (1500,), generator=torch.Generator().manual_seed(5))
    for split in range(3):
        whole = splits.consecutive(labels, 50 * split, 50)
        kept, held = splits.last_held(labels[whole], 0.4)
        for name in range(7):
            of_class = [index for index, label in enumerate(labels.tolist()) if label == name]
            first = 50 * split
            trained = [index for index in whole[kept].tolist() if labels[index] == name]
            scored = [index for index in whole[held].tolist() if labels[index] == name]
            assert trained == of_class[first : first + 30]
            assert scored == of_class[first + 30 : first + 50]
