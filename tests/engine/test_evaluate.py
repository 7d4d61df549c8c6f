"""Evaluation, checkpoints and schedules, against slow or closed forms."""

import pytest
import torch

from das.data.sets import ImageSet
from das.engine.checkpoint import checkpoint, load_model, weights_digest
from das.engine.evaluate import evaluate
from das.errors import DasError
from das.study.schema import Architecture, Compute
from das.tasks.classification import DasModel
from das.video.policy import Policy

CLASSES = tuple("abcdefghij")


def model_of(policy, fusion="tsm", seed=0):
    torch.manual_seed(seed)
    return DasModel(Architecture(network="resnet8", fusion=fusion), policy, CLASSES, [0.3], [0.4])


def images(count=23, seed=0):
    draws = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=draws)
    return ImageSet(pixels, torch.randint(0, 10, (count,), generator=draws))


def test_evaluation_agrees_with_one_image_at_a_time():
    model = model_of(Policy.single("rotate", 10, 4))
    data = images()
    result = evaluate(model, data, Compute(), batch_size=10)
    model.eval()
    hits, losses = 0, []
    for image, label in zip(data.images, data.labels, strict=True):
        logits = model(image[None].float() / 255)[0].double()
        hits += int(logits.argmax() == label)
        losses.append((torch.logsumexp(logits, 0) - logits[label]).item())
    assert result["accuracy"] == hits / len(data)
    assert result["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_normalization_comes_after_the_image_to_video_step_so_that_the_outside_is_black():
    moved_out = Policy.single("translate_x", 1.0, 3, schedule="signed")
    model = model_of(moved_out)
    video = model.normalize(model.video(torch.ones(1, 1, 28, 28)))
    assert torch.allclose(video[:, 0], torch.tensor((0.0 - 0.3) / 0.4))
    assert torch.allclose(video[:, 1], torch.tensor((1.0 - 0.3) / 0.4))


def test_a_checkpoint_gives_back_the_model(tmp_path):
    model = model_of(Policy.single("zoom", 1.1, 4))
    (tmp_path / "a.pt").write_bytes(checkpoint(model))
    loaded = load_model(tmp_path / "a.pt")
    assert weights_digest(loaded) == weights_digest(model)
    assert (loaded.policy, loaded.classes) == (model.policy, CLASSES)
    pixels = torch.rand(3, 1, 28, 28)
    assert torch.equal(loaded(pixels), model.eval()(pixels))


def test_equal_models_are_equal_bytes_under_any_file_name(tmp_path):
    for name in ("a.pt", "another_name.pt"):
        (tmp_path / name).write_bytes(checkpoint(model_of(None, "none")))
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "another_name.pt").read_bytes()


def test_one_frame_weights_look_at_several_frames_as_the_mean_of_their_logits(tmp_path):
    model = model_of(None, "none")
    (tmp_path / "a.pt").write_bytes(checkpoint(model))
    policy = Policy.single("translate_y", 0.1, 5)
    several, one = load_model(tmp_path / "a.pt", policy), load_model(tmp_path / "a.pt")
    pixels = torch.rand(2, 1, 28, 28)
    frames = several.video(pixels)
    expected = torch.stack([one(frames[:, t]) for t in range(5)]).mean(0)
    assert torch.allclose(several(pixels), expected, atol=1e-5)


def test_bad_checkpoints_are_named(tmp_path):
    with pytest.raises(DasError, match=r"none\.pt: does not exist; make it with"):
        load_model(tmp_path / "none.pt")
    (tmp_path / "cut.pt").write_bytes(checkpoint(model_of(None, "none")))
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:2000])
    with pytest.raises(DasError, match=r"cut\.pt: is no checkpoint .* or was cut short"):
        load_model(tmp_path / "cut.pt")
    torch.save({"weights": {}}, tmp_path / "foreign.pt")
    with pytest.raises(DasError, match=r"foreign\.pt: is no das-checkpoint of version 2"):
        load_model(tmp_path / "foreign.pt")
