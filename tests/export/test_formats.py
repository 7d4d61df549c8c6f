"""Exported files agree with the model on real images, here and where this package cannot be imported."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from das import data
from das.data.batches import Batches
from das.errors import DasError
from das.export import formats
from das.export.formats import export
from das.models.fusion import GSF, GSM, GST, TSM
from das.study.schema import Head, SegmentationRecipe
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]
FUSIONS = {"none": None, "tsm": TSM, "gsm": GSM, "gsf": GSF, "gst": GST}

#: One of every family of networks, as `das.models.components` has them, and two of timm's.
FAMILIES = [
    *("resnet8", "resnet20", "wide_resnet40_2", "ghostnet", "resnet18_cifar", "resnet18", "resnet50"),
    *("resnext50_32x4d", "wide_resnet50_2", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf"),
    *("timm:resnet26d", "timm:convnext_atto"),
]  # fmt: skip
WITHOUT_PLAIN_3X3 = (
    *("ghostnet", "resnext50_32x4d", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0"),
    *("regnet_x_400mf", "regnet_y_400mf", "timm:convnext_atto"),
)

#: Reads an exported file in a Python that refuses to import das, and prints metadata and logits.
ELSEWHERE = """
import json, sys
class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "das":
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Refusal())
path, images = sys.argv[1:]
import numpy as np
images = np.load(images)
if path.endswith(".onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    logits = session.run(None, {"images": images})[0]
elif path.endswith(".pt2"):
    import torch
    about = {"classes": ""}
    logits = torch.export.load(path, extra_files=about).module()(torch.from_numpy(images)).numpy()
else:
    from safetensors import safe_open
    with safe_open(path, "np") as file:
        about, logits = file.metadata(), file.get_tensor("network.fc.weight")
assert "das" not in sys.modules
print(json.dumps([json.loads(about["classes"]), logits.tolist()]))
"""


@pytest.fixture(scope="module")
def tiles():
    """Real images (5, 3, 64, 64) in [0, 1]."""
    images = data.load("land_cover_embedded", root=ROOT / "data/embedded/land_cover").test
    return next(Batches(images.subset(torch.arange(5)), 5).epoch())[0]


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_a_file_works_without_this_package(make_model, tiles, tmp_path, suffix):
    model, images = make_model(fusion="gsf"), tiles[:, :, 16:48, 16:48].contiguous()
    path, pixels = tmp_path / f"model.{suffix}", tmp_path / "images.npy"
    assert export(model, path, images) < 1e-5
    np.save(pixels, images.numpy())
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, path, pixels], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    classes, logits = json.loads(done.stdout)
    assert classes == ["cat", "dog", "eel"]
    with torch.no_grad():
        expected = model.network.network.fc.weight if suffix == "safetensors" else model(images)
    torch.testing.assert_close(torch.tensor(logits), expected, atol=1e-5, rtol=0)


def test_a_file_that_would_not_agree_is_not_written(make_model, tiles, tmp_path, monkeypatch):
    model = make_model()
    content, read = formats._safetensors(model, tiles)
    monkeypatch.setitem(formats.FORMATS, "pt2", (lambda *_: (content, lambda images: read(images) + 0.01), ()))
    with pytest.raises(
        DasError, match=r"model.pt2: is not written; its logits differ from the model's by up to 0.01, "
    ):
        export(model, tmp_path / "model.pt2", tiles)
    assert not list(tmp_path.iterdir())


def test_what_is_missing_or_unknown_is_one_line(make_model, tiles, tmp_path, monkeypatch):
    with pytest.raises(DasError, match=r"model.h5: its suffix: is no format; use one of onnx, pt2, safetensors"):
        export(make_model(), tmp_path / "model.h5", tiles)
    with pytest.raises(DasError, match=r"--to tflite: is no format"):
        export(make_model(), tmp_path / "model.onnx", tiles, to="tflite")
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(DasError, match=r"model.onnx: needs onnxscript; install the extra `export`"):
        export(make_model(), tmp_path / "model.onnx", tiles)


def test_what_an_exporter_does_not_know_is_one_line(make_model, tiles, tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return x * float(x.detach().sum())

    model = make_model()
    model.network.network.layer1 = torch.nn.Sequential(Odd())
    with pytest.raises(DasError, match=r"model.pt2: resnet8 cannot be exported \([^\n]+\)$"):
        export(model, tmp_path / "model.pt2", tiles)


@pytest.mark.long
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("network", FAMILIES)
def test_every_family_and_fusion_agrees(make_model, tiles, tmp_path, network, fusion):
    if fusion == "gst" and network in WITHOUT_PLAIN_3X3:
        with pytest.raises(DasError, match="has no place for it"):
            make_model(network, size=64, fusion=fusion)
        return
    model = make_model(network, size=64, fusion=fusion)
    if fusion != "none":
        assert any(isinstance(module, FUSIONS[fusion]) for module in model.modules())
    export(model, tmp_path / "model.onnx", tiles)


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [{"attention": "cbam"}, {"pooling": "spp"}, {"attention": "cbam", "pooling": "spp"}]
)
def test_attention_and_pyramids_agree(make_model, tiles, tmp_path, options):
    export(make_model("resnet18", size=64, fusion="tsm", network_options=options), tmp_path / "model.onnx", tiles)


@pytest.mark.long
@pytest.mark.parametrize("consensus", ["mean_logits", "mean_probabilities", "middle_frame", "learned_weights"])
def test_every_consensus_agrees(make_model, tiles, tmp_path, consensus):
    export(make_model(size=64, fusion="tsm", consensus=consensus), tmp_path / "model.onnx", tiles)


@pytest.mark.long
@pytest.mark.parametrize("head", ["pspnet", "deeplabv3", "fcn", "lraspp"])
@pytest.mark.parametrize("network", ["resnet8", "mobilenet_v3_small"])
def test_every_head_agrees(make_model, tiles, tmp_path, network, head):
    dense = {"head": Head(network=head), "segmentation": SegmentationRecipe(), "consensus": "aligned_mean"}
    model = make_model(network, size=64, task="segmentation", fusion="tsm", **dense)
    for suffix in ("onnx", "pt2"):
        export(model, tmp_path / f"model.{suffix}", tiles)


@pytest.mark.long
def test_colors_agree(make_model, tiles, tmp_path):
    for name, magnitude in (("equalize", 0.2), ("autocontrast", 0.2), ("sharpness", 1.2), ("posterize", 2)):
        model = make_model(policy=Policy.single(name, magnitude, 3), size=64)
        export(model, tmp_path / "model.onnx", tiles)
