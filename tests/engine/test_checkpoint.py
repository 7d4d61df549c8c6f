"""A checkpoint vouches for its content: a flipped bit is noticed, or changes nothing that is loaded."""

import random
import zipfile

import pytest
import torch

from das.engine.checkpoint import checkpoint, load_model, weights_digest
from das.errors import DasError
from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.video.policy import Policy


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    architecture = Architecture(network="resnet8", network_options={"width": 8}, fusion="tsm")
    return DasModel(architecture, Policy.single("rotate", 10, 4), tuple("abcdefghij"), [0.3], [0.4])


def said(model) -> tuple:
    """All that a checkpoint tells."""
    facts = (model.architecture, model.policy.document(), model.classes, model.mean, model.std)
    return (*facts, weights_digest(model))


@pytest.mark.parametrize("where", ["anywhere", "metadata", "headers"])
def test_no_flipped_bit_loads_another_model(model, tmp_path, where):
    path = tmp_path / "model.pt"
    whole = checkpoint(model)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        pickled = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
        directory = archive.start_dir
    places = {
        "anywhere": range(len(whole)),
        "metadata": range(pickled.header_offset, pickled.header_offset + 64 + pickled.file_size),
        "headers": range(directory, len(whole)),
    }[where]
    expected, draws, noticed = said(model), random.Random(0), 0
    for _ in range(300 if where == "anywhere" else 150):
        place, bit = draws.choice(places), draws.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            loaded = load_model(path)
        except DasError:
            noticed += 1
        else:
            assert said(loaded) == expected, (place, bit)
    assert noticed > 100


def test_a_weight_that_is_exchanged_with_its_own_checksum_of_the_archive_is_noticed(model, tmp_path):
    """What a flip before the archive was written would do: the zip's own checksums fit."""
    path = tmp_path / "model.pt"
    path.write_bytes(checkpoint(model))
    content = torch.load(path, weights_only=True)
    next(iter(content["weights"].values())).view(-1)[0] += 1
    torch.save(content, path)
    with pytest.raises(DasError, match=r"model\.pt: is damaged \(its SHA-256 does not fit its content\)"):
        load_model(path)
