"""Explanations, against the axioms and closed forms of what they claim to be."""

import pytest
import torch
from PIL import Image

from das.cli.images import explain as command
from das.engine.checkpoint import checkpoint
from das.errors import DasError
from das.inference.explain import explain
from das.video.policy import Policy


def image(seed: int = 0) -> torch.Tensor:
    return torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("operation", ["rotate", "zoom", "translate_x"])
def test_evidence_adds_up_to_the_rise_of_the_logit(made, operation):
    """Completeness (Sundararajan et al. 2017, proposition 1), in the frames and back in the image."""
    model = made(Policy.single(operation, {"rotate": 15, "zoom": 1.2, "translate_x": 0.2}[operation], 3))
    found = explain(model, image(), "bee")
    blank = torch.full((1, 3, 24, 24), 0.4)
    with torch.no_grad():
        rise = float((model(image()[None]) - model(blank))[0, 1])
    assert found.gain == pytest.approx(rise, abs=1e-4)
    assert float(found.frames.sum()) == pytest.approx(rise, rel=0.05, abs=0.02)
    assert torch.allclose(found.frames.sum((1, 2)), found.back.sum((1, 2)), atol=1e-3)  # the step is linear


def test_evidence_of_a_moved_frame_lies_where_the_frame_shows_the_image(made):
    """A move by whole pixels: the frame's map, moved back by hand, is the map in the image."""
    model = made(Policy.single("translate_x", 0.25, 3, schedule="signed"))
    found = explain(model, image())
    assert torch.allclose(found.back[1], found.frames[1], atol=1e-6)  # the untouched frame
    for frame in (0, 2):
        moves = {shift: found.frames[frame].roll(shift, 1) for shift in (-6, 6)}  # a quarter of 24 pixels
        near = {shift: float((moved - found.back[frame]).abs().max()) for shift, moved in moves.items()}
        assert min(near.values()) < 1e-6
        assert max(near.values()) > 1e-4


def test_votes_are_the_frames_own_predictions(made):
    """Without fusion a frame's vote is the network's prediction for that frame as an image."""
    model = made(Policy.single("rotate", 15, 3), fusion="none")
    still = made(Policy.replicate(1), fusion="none")
    still.network.load_state_dict(model.network.state_dict())
    found = explain(model, image())
    for frame, vote in zip(found.video, found.votes, strict=True):
        assert torch.allclose(vote, still(frame[None]).softmax(1)[0], atol=1e-5)
    assert torch.allclose(found.shares, model(image()[None]).softmax(1)[0], atol=1e-5)
    assert found.label == int(found.shares.argmax())


def test_the_command_draws_classifiers_and_segmentations(model, segmentation, photos, tmp_path):
    for number, one in enumerate((model, segmentation)):
        (tmp_path / "model.pt").write_bytes(checkpoint(one))
        command(tmp_path / "model.pt", photos / "ant/0.jpg", tmp_path / f"why{number}.png")
        with Image.open(tmp_path / f"why{number}.png") as drawn:
            assert drawn.width > 500
    command(tmp_path / "model.pt", photos / "ant/0.jpg", tmp_path / "why.png", label=segmentation.classes[-1])


def test_a_segmentation_s_evidence_adds_up_to_the_rise_of_its_mean_logit(segmentation):
    """Over the pixels of the label; where the network gives it to none, over all."""
    picture, blank = image(), torch.tensor(segmentation.mean).view(3, 1, 1).expand(3, 24, 24)
    with torch.no_grad():
        there, start = (segmentation(one[None])[0] for one in (picture, blank))
    labels = there.argmax(0)
    for number, name in enumerate(segmentation.classes):
        region = labels == number
        region = region if region.any() else torch.ones_like(region)
        rise = float((there - start)[number][region].mean())
        found = explain(segmentation, picture, name)
        assert found.gain == pytest.approx(rise, abs=1e-4)
        assert float(found.frames.sum()) == pytest.approx(rise, rel=0.05, abs=0.02)
        assert torch.allclose(found.frames.sum((1, 2)), found.back.sum((1, 2)), atol=1e-3)
    assert torch.equal(found.maps[0], labels)
    parts = torch.stack([(labels == k).float().mean() for k in range(len(segmentation.classes))])
    assert torch.allclose(found.shares, parts)
    for votes, drawn in zip(found.votes, found.maps[1:], strict=True):
        counted = drawn[drawn != 255]
        assert torch.allclose(votes, torch.stack([(counted == k).float().mean() for k in range(len(votes))]))


def test_what_cannot_be_explained_is_one_line(model, photos):
    with pytest.raises(DasError, match=r"label: is 'dog'; the model knows ant, bee, cat"):
        explain(model, photos / "ant/0.jpg", "dog")
    (photos / "ant/0.jpg").write_text("nothing")
    with pytest.raises(DasError, match=r"ant/0\.jpg: "):
        explain(model, photos / "ant/0.jpg")
