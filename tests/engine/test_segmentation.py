"""Segmentation's model, loss, scores and tests, and one number from end to end."""

import json
from pathlib import Path

import pytest
import torch
from scipy.ndimage import binary_erosion
from torch.nn import functional as F

from das import data
from das.data.crops import IGNORE
from das.data.sets import Dataset, ImageSet
from das.engine.checkpoint import load_model
from das.engine.train import fit, resume_state, train
from das.errors import DasError
from das.search.bilevel import BilevelSearch
from das.study import check, load_study, of_method, of_policy
from das.study.schema import Architecture, Head, SegmentationRecipe
from das.tasks import model as make_model
from das.tasks.dense_scores import DenseScore, boundary, cross_entropy
from das.tasks.segmentation import DenseLoss, SegmentationModel
from das.video.cell import Cell, Relaxed
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]
CLASSES = ("sky", "sea", "land")


HEAD = Head(network="pspnet", output_stride=4)


def made(policy=None, classes=CLASSES, consensus="aligned_mean", **recipe) -> SegmentationModel:
    torch.manual_seed(0)
    architecture = Architecture(
        task="segmentation",
        network="resnet8",
        network_options={"width": 8, "stem_stride": 2},
        head=HEAD,
        fusion="tsm",
        consensus=consensus,
        segmentation=SegmentationRecipe(**recipe),
    )
    return make_model(architecture, policy or Policy.single("rotate", 5, 3), classes, [0.5] * 3, [0.25] * 3)


# -- class weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_pixels_count_by_their_class(smoothing):
    """The mean over pixels, each as often as its class weighs."""
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    labels[0, 0] = IGNORE
    counted = labels != IGNORE
    rows, wanted = logits.permute(0, 2, 3, 1)[counted], labels[counted]
    often = torch.tensor([1, 3, 2])[wanted]
    expected = F.cross_entropy(rows.repeat_interleave(often, 0), wanted.repeat_interleave(often))
    model = made(class_weights={"sea": 3.0, "land": 2.0}, auxiliary_weight=0.0)
    torch.testing.assert_close(model.criterion()(logits, labels), expected)
    assert made(class_weights={}).criterion().weights is None
    smoothed = F.cross_entropy(rows, wanted, torch.tensor([1.0, 3.0, 2.0]), label_smoothing=smoothing)
    torch.testing.assert_close(model.criterion(smoothing)(logits, labels), smoothed)
    nothing = model.criterion()(logits.requires_grad_(), torch.full_like(labels, IGNORE))
    assert float(nothing.detach()) == 0
    with pytest.raises(DasError, match=r"class_weights.see: is no class; should be one of sky, sea, land"):
        made(class_weights={"see": 2.0}).criterion()


def test_weights_that_are_not_given_leave_no_trace_in_settings():
    """Numbers of before stay what they are."""
    assert "class_weights" not in SegmentationRecipe().model_dump()
    assert SegmentationRecipe(class_weights={"sea": 2.0}).model_dump()["class_weights"] == {"sea": 2.0}


# -- scores ----------------------------------------------------------------------------------------------------------


def one_hot(labels, classes=3):
    return F.one_hot(torch.as_tensor(labels), classes).permute(0, 3, 1, 2).float() * 50


def test_scores_of_a_case_worked_by_hand():
    """Eight pixels count: class 0 has 2 right of 3, class 1 has 2 right of 3 and 2 wrongly its own, class 2 0 of 2."""
    labels = torch.tensor([[[0, 0, 0, 1, 1], [1, 2, 2, IGNORE, IGNORE]]])
    predicted = [[[0, 0, 1, 1, 1], [0, 1, 0, 0, 2]]]
    score = DenseScore(CLASSES)
    score.add(one_hot(predicted), labels)
    assert score.confusion.tolist() == [[2, 1, 0], [1, 2, 0], [1, 1, 0]]
    found = score.result()
    assert found["class_iou"] == {"sky": 2 / 5, "sea": 2 / 5, "land": 0.0}
    assert found["miou"] == pytest.approx((2 / 5 + 2 / 5) / 3)
    assert found["pixel_accuracy"] == 4 / 8
    assert found["loss"] == pytest.approx(50 * 4 / 8, rel=1e-4)  # certain and wrong at half of the pixels


def test_scores_do_not_depend_on_how_the_set_is_cut_into_batches():
    draws = torch.Generator().manual_seed(0)
    logits = torch.rand(7, 3, 9, 9, generator=draws)
    labels = torch.randint(0, 4, (7, 9, 9), generator=draws)
    labels[labels == 3] = IGNORE
    whole, parts = DenseScore(CLASSES), DenseScore(CLASSES)
    whole.add(logits, labels)
    for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
        parts.add(logits[part], labels[part])
    first, second = whole.result(), parts.result()
    assert first.pop("loss") == pytest.approx(second.pop("loss"), rel=1e-6)
    assert first == second


def test_a_class_that_nobody_holds_has_no_part_in_the_mean():
    score = DenseScore(CLASSES)
    score.add(one_hot([[[0, 0], [1, 1]]]), torch.tensor([[[0, 0], [1, 1]]]))
    found = score.result()
    assert found["class_iou"]["land"] is None
    assert found["miou"] == found["boundary_iou"] == 1.0
    empty = DenseScore(CLASSES)
    empty.add(one_hot([[[0, 0]]]), torch.full((1, 1, 2), IGNORE))
    assert empty.result()["miou"] == 0.0


def test_the_boundary_of_a_square():
    """A 6 x 6 square in a 10 x 10 image: two pixels of it are within 2 of its outside; the image's edge is outside."""
    square = torch.zeros(1, 10, 10, dtype=torch.bool)
    square[0, 2:8, 2:8] = True
    assert (square & ~boundary(square, 2)).nonzero()[:, 1:].tolist() == [[4, 4], [4, 5], [5, 4], [5, 5]]
    everything = torch.ones(1, 5, 5, dtype=torch.bool)
    assert (~boundary(everything, 1)).nonzero()[:, 1:].tolist() == [[y, x] for y in (1, 2, 3) for x in (1, 2, 3)]


@pytest.mark.parametrize("width", [1, 3])
def test_the_boundary_is_what_erosions_take_away(width):
    """The definition: ``width`` erosions by 3 x 3, everything beyond the image being outside."""
    draws = torch.Generator().manual_seed(2)
    masks = F.interpolate(torch.rand(3, 1, 5, 6, generator=draws), (24, 37), mode="bicubic")[:, 0] > 0.4
    for mask, found in zip(masks.numpy(), boundary(masks, width).numpy(), strict=True):
        core = binary_erosion(mask, structure=[[1] * 3] * 3, iterations=width)
        assert core.any()
        assert (found == (mask & ~core)).all()


def test_boundary_iou_sees_what_iou_does_not():
    """A large square moved by a pixel: most of it overlaps, its boundary does not."""
    labels, predicted = torch.zeros(2, 1, 100, 100, dtype=torch.int64)
    labels[0, 20:80, 20:80] = 1
    predicted[0, 23:83, 20:80] = 1
    score = DenseScore(CLASSES[:2])
    score.add(one_hot(predicted, 2), labels)
    found = score.result()
    assert found["miou"] > 0.9
    assert found["boundary_iou"] < 0.75
    assert found["boundary_iou_published"] == found["boundary_iou"]  # nothing is ignored


def test_boundary_iou_with_an_ignored_rim_in_both_orders():
    """Against sets of pixels: eroded with the rim taken away before, and after."""
    labels = torch.zeros(1, 24, 24, dtype=torch.int64)
    labels[:, 6:18, 6:18] = 1
    labels[:, 5:7] = labels[:, :, 5:7] = IGNORE
    predicted = torch.zeros(1, 24, 24, dtype=torch.int64)
    predicted[:, 4:19, 6:17] = 1
    score = DenseScore(("a", "b"))
    score.add(torch.nn.functional.one_hot(predicted, 2).permute(0, 3, 1, 2).float(), labels)
    width = max(1, round(0.02 * (2 * 24**2) ** 0.5))

    def edge(pixels):
        """Pixels of the set with one outside it, or outside the image, within ``width`` in each direction."""
        near = range(-width, width + 1)
        return {(y, x) for y, x in pixels if any((y + dy, x + dx) not in pixels for dy in near for dx in near)}

    def pixels(mask):
        return {tuple(place) for place in mask[0].nonzero().tolist()}

    counts = pixels(labels != IGNORE)
    ratios = {"boundary_iou": [], "boundary_iou_published": []}
    for label in (0, 1):
        theirs, ours = edge(pixels(labels == label)), pixels(predicted == label)
        for name, found in (("boundary_iou", edge(ours & counts)), ("boundary_iou_published", edge(ours) & counts)):
            ratios[name].append(len(found & theirs) / len(found | theirs))
    found = score.result()
    for name, values in ratios.items():
        assert found[name] == pytest.approx(sum(values) / 2)
    assert found["boundary_iou"] > found["boundary_iou_published"] + 0.1


# -- loss ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_torchs_with_ignored_pixels_left_out():
    logits = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    labels = torch.randint(0, 3, (2, 4, 5))
    labels[0, :2] = IGNORE
    expected = F.cross_entropy(logits, labels, ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy(logits, labels), expected)
    torch.testing.assert_close(DenseLoss(0.4, 0.0)(logits, labels).double(), expected, rtol=1e-6, atol=0)
    pair = DenseLoss(0.4, 0.0)((logits, 2 * logits), labels).double()
    other = F.cross_entropy(2 * logits, labels, ignore_index=IGNORE)
    torch.testing.assert_close(pair, expected + 0.4 * other, rtol=1e-6, atol=0)


def test_a_batch_of_which_nothing_counts_teaches_nothing():
    logits = torch.rand(1, 3, 2, 2, requires_grad=True)
    loss = DenseLoss(0.4, 0.1)(logits, torch.full((1, 2, 2), IGNORE))
    loss.backward()
    assert loss == 0
    assert logits.grad.eq(0).all()


# -- the model -------------------------------------------------------------------------------------------------------


def test_the_model_gives_every_pixel_logits_and_an_auxiliary_map_in_training():
    model, images = made(), torch.rand(2, 3, 24, 40)
    logits, auxiliary = model(images)
    assert logits.shape == auxiliary.shape == (2, 3, 24, 40)
    assert model.eval()(images).shape == (2, 3, 24, 40)


def test_identical_frames_fuse_to_one_frame_whatever_the_consensus():
    images = torch.rand(2, 3, 32, 32)
    predictions = []
    for consensus in ("aligned_mean", "mean_logits", "middle_frame"):
        model = made(Policy.replicate(4), consensus=consensus)
        model.network.frames = 4
        for module in model.network.modules():
            if type(module).__name__ == "TSM":
                module.forward = lambda x: x  # no exchange between frames
        predictions.append(model.eval()(images))
    torch.testing.assert_close(predictions[0], predictions[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(predictions[0], predictions[2], atol=1e-5, rtol=1e-5)


def test_another_way_to_make_videos_brings_its_geometry():
    model, images = made(consensus="aligned_mean").eval(), torch.rand(2, 3, 32, 32)
    cell = Cell(frames=3, kind="single", seed=1)
    weights = torch.zeros_like(cell.alpha)
    weights[0, 4] = 1
    policy = cell.mixture(weights)
    torch.testing.assert_close(model(images, Relaxed(cell, weights)), made(policy).eval()(images), atol=1e-4, rtol=1e-4)


def test_frozen_norms_keep_their_statistics_in_training():
    for choice, moved in (("frozen", False), ("train", True)):
        model = made(batch_norm=choice).train()
        before = {name: buffer.clone() for name, buffer in model.network.named_buffers()}
        model(torch.rand(2, 3, 32, 32))
        after = dict(model.network.named_buffers())
        assert any(not torch.equal(before[name], after[name]) for name in before) == moved


def test_the_heads_have_their_own_learning_rate():
    model = made(head_lr=10.0)
    factors = model.learning_rates()
    named = {name: factors.get(p, 1.0) for name, p in model.network.named_parameters()}
    assert {name.split(".")[1] for name, factor in named.items() if factor == 10.0} == {"head", "auxiliary"}
    assert {name.split(".")[1] for name, factor in named.items() if factor == 1.0} == {"body"}


def test_classes_that_no_mask_can_tell_apart_are_refused():
    for classes in ((), ("all",)):
        with pytest.raises(DasError, match=r"classes: \[.*\] is not a list of two or more"):
            made(classes=classes)
    with pytest.raises(DasError, match=r"classes: there are 256; masks of bytes tell at most 255"):
        made(classes=tuple(map(str, range(256))))


# -- one number ------------------------------------------------------------------------------------------------------

TINY = """
study: {name: tiny, methods: [baseline, das], seeds: [0]}
datasets:
  land_cover: {options: {train_tiles: 24, test_tiles: 6}, recipe: tiny}
backbones:
  pspnet_resnet8: {options: {width: 8}}
recipes: {tiny: {epochs: 2, batch_size: 8, lr: 0.05}}
searches: {quick: {epochs: 1, batch_size: 6}}
"""


@pytest.fixture(scope="module")
def tiles():
    options = {"train_tiles": 24, "test_tiles": 6}
    return data.load("land_cover_embedded", root=ROOT / "data/embedded/land_cover", options=options)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(ROOT / "data")
    Path("tiny.yaml").write_text(TINY)
    return load_study([ROOT / "params.yaml", ROOT / "config/segmentation.yaml", "tiny.yaml"])


def test_a_number_repeats_to_the_byte_and_says_what_counts(study, tiles, monkeypatch, tmp_path):
    number = of_method(study, "land_cover", "pspnet_resnet8", "das", 0)
    policy = Policy.single("rotate", 4, 3)
    number.made_by.main.parent.mkdir(parents=True)
    policy.save(number.made_by.main)
    train(number, tiles, policy)
    first = number.number.read_bytes()
    content = json.loads(first)
    assert content["metric"] == "miou"
    assert content["miou"] == content["last"]["miou"] == content["curves"]["test_miou"][-1]
    assert set(content["last"]["class_iou"]) == set(tiles.classes)
    assert content["settings"]["method"]["consensus"] == "aligned_mean"
    assert content["settings"]["backbone"]["head"] == HEAD.model_dump()
    model = load_model(number.checkpoint)
    score = model.score("cpu")
    with torch.no_grad():
        score.add(model.predict(tiles.test.images.float() / 255), tiles.test.labels)
    assert score.result()["miou"] == pytest.approx(content["miou"])
    number.number.unlink()
    train(number, tiles, policy)
    assert number.number.read_bytes() == first


def test_an_interrupted_training_ends_in_the_same_weights(study, tiles):
    number = of_method(study, "land_cover", "pspnet_resnet8", "das", 0)
    policy = Policy.single("rotate", 4, 3)
    whole = fit(number, tiles, policy, resume_state(number, tiles, policy))
    resume_state(number, tiles, policy).discard()

    class Interrupted(type(resume_state(number, tiles, policy))):
        def save(self, state):
            super().save(state)
            raise KeyboardInterrupt

    resume = resume_state(number, tiles, policy)
    resume.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        fit(number, tiles, policy, resume)
    rest = fit(number, tiles, policy, resume_state(number, tiles, policy))
    assert rest.curves == whole.curves
    assert rest.tested == whole.tested
    for ours, theirs in zip(rest.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_network_learns_what_color_says():
    """Three colors, a label each: segmentation by anything but chance must be perfect."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (48, 4, 4), generator=draws).repeat_interleave(8, 1).repeat_interleave(8, 2)
    colors = torch.tensor([[200, 30, 30], [30, 200, 30], [30, 30, 200]], dtype=torch.uint8)
    images = ImageSet(colors[labels].permute(0, 3, 1, 2).contiguous(), labels)
    study = check(
        {
            "study": {"name": "t", "datasets": ["d"], "backbones": ["b"], "methods": ["m"], "seeds": [0],
                      "reference": "m"},
            "datasets": {"d": {"title": "d", "reader": "land_cover_embedded", "recipe": "r"}},
            "backbones": {
                "b": {"title": "b", "network": "resnet8", "options": {"width": 8, "stem_stride": 1},
                      "head": {"network": "fcn", "output_stride": 4}},
            },
            "recipes": {"r": {"epochs": 12, "batch_size": 8, "lr": 0.1}},
            "cells": {"c": {"frames": 3}},
            "policies": {"p": {"source": "single", "cell": "c", "operation": "rotate", "magnitude": 5}},
            "methods": {"m": {"title": "m", "policy": "p", "fusion": "tsm"}},
        },
        "test",
    )  # fmt: skip
    dataset = Dataset("colors", lambda split: images, CLASSES)

    class Nowhere:
        load = staticmethod(lambda: None)
        save = staticmethod(lambda state: None)

    fitted = fit(of_method(study, "d", "b", "m", 0), dataset, Policy.single("rotate", 5, 3), Nowhere)
    assert fitted.tested["miou"] > 0.85


def test_search_moves_alpha_by_the_segmentation_loss(study, tiles):
    search = BilevelSearch(of_policy(study, "land_cover", "pspnet_resnet8", "searched", 0), tiles)
    before = search.cell.alpha.detach().clone()
    policy, history, _ = search.find()
    assert not torch.equal(before, search.cell.alpha)
    assert policy.frames == study.cells["quick"].frames
    assert 0 <= history["val_accuracy"][0] <= 1
    again = BilevelSearch(of_policy(study, "land_cover", "pspnet_resnet8", "searched", 0), tiles)
    again.resume.discard()
    assert again.find()[0].digest() == policy.digest()


def test_the_papers_recipes_are_a_study():
    study = load_study([ROOT / "params.yaml", ROOT / "config/paper_segmentation.yaml"])
    voc = of_method(study, "voc2012", "pspnet_resnet50", "das", 0).settings
    recipe = {key: voc["recipe"][key] for key in ("epochs", "batch_size", "lr", "schedule", "poly_power")}
    assert recipe == {"epochs": 80, "batch_size": 4, "lr": 0.002, "schedule": "poly", "poly_power": 0.9}
    assert recipe["lr"] * voc["recipe"]["segmentation"]["head_lr"] == 0.02  # differential_lr: the backbone's is a tenth
    crop = {"size": 380, "base": 400, "scale": [0.5, 2.0], "side": "longer"}
    assert voc["dataset"]["augment"][0]["random_scale_crop"] == crop
    assert voc["backbone"]["pretrained"]
    for name in study.study.datasets:
        crop = study.datasets[name].augment[0]["random_scale_crop"]
        evaluation = study.recipes[study.datasets[name].recipe].segmentation.evaluation
        assert evaluation.window == crop["size"]  # frames move as they did in training


def test_a_study_that_mixes_tasks_is_refused(study, tmp_path):
    files = [ROOT / "params.yaml", ROOT / "config/segmentation.yaml", tmp_path / "bad.yaml"]
    for text, message in {
        "study: {backbones: [resnet8]}": r"backbones\.resnet8\.head: is missing; .* is segmentation",
        "study: {datasets: [fashion_mnist]}": r"backbones\.pspnet_resnet8\.head: makes a segmentation network",
        "methods: {das: {consensus: learned_weights}}": r"das\.consensus: is 'learned_weights'; .* aligned_mean",
        "backbones: {pspnet_resnet8: {head: {network: unet}}}": r"network: 'unet' is unknown; should be one of pspnet",
        "datasets: {land_cover: {augment: [{cutout: {size: 8}}]}}": r"cutout cannot move label maps",
    }.items():
        Path("bad.yaml").write_text(text)
        with pytest.raises(DasError, match=message):
            load_study(files)
