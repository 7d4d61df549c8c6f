"""Evaluation, checkpoints and schedules, against slow or closed forms."""

import math

import pytest
import torch

from das.data.crops import Center, Native, Whole
from das.data.sets import ImageSet
from das.engine.checkpoint import checkpoint, load_model, weights_digest
from das.engine.evaluate import evaluate
from das.errors import DasError
from das.study.schema import Architecture, Compute
from das.tasks.classification import Accuracy, DasModel
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


def test_scores_by_class_and_calibration_are_those_of_the_definitions():
    score, draws = Accuracy(), torch.Generator().manual_seed(4)
    logits = 3 * torch.randn(200, 5, generator=draws, dtype=torch.float64)
    labels = torch.randint(0, 4, (200,), generator=draws)  # no image of class 4
    for part, own in zip(logits.split(37), labels.split(37), strict=True):
        score.add(part, own)
    result = score.result()
    by_class: dict[int, list[bool]] = {name: [] for name in range(5)}
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        powers = [math.exp(value) for value in row]
        confidence, hit = max(powers) / sum(powers), row.index(max(row)) == label
        by_class[label].append(hit)
        bins.setdefault(math.ceil(15 * confidence), []).append((confidence, hit))
    shares = [sum(hits) / len(hits) for hits in by_class.values() if hits]
    assert result["class_accuracy"] == [*(pytest.approx(share) for share in shares), None]
    assert result["balanced_accuracy"] == pytest.approx(sum(shares) / 4)
    assert result["accuracy"] == pytest.approx(sum(map(sum, by_class.values())) / 200)
    gaps = [abs(sum(hit - confidence for confidence, hit in one)) / 200 for one in bins.values()]
    assert result["calibration_error"] == pytest.approx(sum(gaps))


def test_certain_and_even_predictions_have_the_calibration_that_they_should():
    labels = torch.arange(4) % 2
    score = Accuracy()
    score.add(torch.tensor([[1e4, 0.0]]).expand(4, 2), labels)  # certain, right half of the time
    assert score.result()["calibration_error"] == 0.5
    even = Accuracy()
    even.add(torch.zeros(4, 2), labels)  # confidence 1/2, right half of the time
    assert even.result()["calibration_error"] == 0.0


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


def test_a_checkpoint_says_how_pictures_are_framed_and_classes_colored(tmp_path):
    model = model_of(None, "none")
    for framing in (None, Center(28), Center(64, 0.875), Whole(96), Native()):
        model.framing, model.colors = framing, [(0, 128, 255), (1, 2, 3)]
        (tmp_path / "a.pt").write_bytes(checkpoint(model))
        loaded = load_model(tmp_path / "a.pt")
        assert loaded.framing == framing
        assert [tuple(color) for color in loaded.colors] == model.colors


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
