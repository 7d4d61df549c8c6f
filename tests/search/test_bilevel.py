import pytest
import torch

from das import data
from das.data.sets import Dataset, ImageSet
from das.errors import DasError
from das.search.bilevel import BilevelSearch
from das.study import check, of_policy


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def images():
    """Ten classes of random images; whoever opens the test set is caught."""

    def read(split):
        assert split == "train", "a search opened the test set"
        draws = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (80, 1, 28, 28), dtype=torch.uint8, generator=draws)
        return ImageSet(pixels, torch.arange(80) % 10)

    return Dataset("random", read, tuple("abcdefghij"))


def made(settings, policy, images):
    run = of_policy(check(settings, "test"), "tiny", "tiny", policy, 0)
    return BilevelSearch(run, images, run.digest)


@pytest.mark.parametrize("policy", ["mixture", "gumbel", "perturbation", "tournament", "learnable"])
def test_a_search_leaves_a_policy_a_history_and_its_cost(settings, images, policy):
    chosen, history, run = made(settings, policy, images).find()
    assert chosen.frames == 3
    assert len(history["alpha"]) == len(history["entropy"]) == 3
    assert len(history["train_loss"]) == len(history["val_loss"]) == len(history["val_accuracy"]) == 2
    assert len(run["epochs_device_s"]) == 2
    assert min(run["epochs_device_s"]) > 0


def test_the_history_names_alphas_columns(settings, images):
    """With their magnitude only where every edge has the same."""
    assert made(settings, "mixture", images).history["candidates"] == [
        "identity", "translate_x", "translate_y", "zoom", "rotate",
    ]  # fmt: skip
    grid = settings | {"cells": settings["cells"] | {"drawn": settings["cells"]["drawn"] | {"magnitudes": "grid"}}}
    names = made(grid, "mixture", images).history["candidates"]
    assert len(set(names)) == 17
    assert {"identity", "zoom 1.15", "rotate -10"} <= set(names)


def test_second_order_waits_for_the_end_of_the_warm_up_and_leaves_running_statistics_alone(settings, images):
    search = made(settings, "second", images)
    step = search._architecture_step
    seen = []

    def watched(*arguments):
        before = [buffer.clone() for buffer in search.network.buffers()]
        value = step(*arguments)
        if arguments[-1]:
            seen.append(all(map(torch.equal, before, search.network.buffers())))
        return value

    search._architecture_step = watched
    _, history, _ = search.find()
    assert history["alpha"][0] == history["alpha"][1] != history["alpha"][2]
    assert seen
    assert all(seen)


def test_a_path_search_learns_no_alpha_and_a_mixture_does(settings, images):
    for policy, moves in (("tournament", False), ("mixture", True), ("gumbel", True)):
        _, history, _ = made(settings, policy, images).find()
        assert (history["alpha"][0] != history["alpha"][-1]) == moves


def test_learnable_magnitudes_are_learnt(settings, images):
    search = made(settings, "learnable", images)
    before = search.cell.magnitude.detach().clone()
    chosen, _, _ = search.find()
    assert not torch.equal(before, search.cell.magnitude)
    present = {choice for edge in search.cell.candidates for choice in edge}
    assert {choice for node in chosen.nodes for edge in node for choice in edge.mixture} <= present


def test_held_out_measures_the_untouched_alpha_half(settings, images):
    """A network that always answers class 0, with known confidence."""
    search = made(settings, "mixture", images)
    search.model.network = _Constant()
    loss, accuracy = search.held_out(search.cell)
    assert accuracy == pytest.approx(0.1)  # halves are balanced
    logits = torch.tensor([2.0] + [0.0] * 9)
    assert loss == pytest.approx(float(-(logits.log_softmax(0) * 0.1).sum()), rel=1e-5)


class _Constant(torch.nn.Module):
    def forward(self, videos):
        return torch.tensor([[2.0] + [0.0] * 9]).expand(len(videos), 10)


def test_a_diverging_search_says_so(settings, images):
    hot = settings["searches"]["mixture"]
    hot = hot | {"weights": hot["weights"] | {"lr": 1e30, "clip_norm": 1e30}}
    with pytest.raises(DasError, match=r"searches.*lr"):
        made(settings | {"searches": settings["searches"] | {"mixture": hot}}, "mixture", images).find()


def test_too_few_images_for_a_batch(settings, images):
    large = settings["searches"]["mixture"] | {"batch_size": 64}
    with pytest.raises(DasError, match=r"batch_size.*64.*40"):
        made(settings | {"searches": settings["searches"] | {"mixture": large}}, "mixture", images)


def test_the_embedded_set_can_be_searched(settings):
    dataset = settings["datasets"]["tiny"]
    loaded = data.load(dataset["reader"], root=dataset["root"], options=dataset["options"])
    chosen, _, _ = made(settings, "gumbel", loaded).find()
    assert chosen.frames == 3
