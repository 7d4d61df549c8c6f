"""Files that hold a trained model for elsewhere, each checked against the model before it is there.

`onnx` and `pt2` (torch.export) hold the whole function: images (B, C, height, width), float32 in [0, 1], any B, to
logits; the image-to-video step, normalization and consensus are in it. `safetensors` holds the weights by name. All
carry as metadata, each a string: ``classes`` (JSON), ``input``, ``output``, ``mean`` and ``std`` (JSON),
``architecture`` (JSON) and ``policy`` (YAML).
"""

import io
import json
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from das import tasks
from das.errors import DasError
from das.export.plain import PlainModel
from das.files import publish
from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.video.policy import Policy

TOLERANCE = 1e-4  # of the largest logit (of 1, where all are smaller): what float32 sums in another order may differ by


def export(model: DasModel, path: Path, images: Tensor, to: str | None = None) -> float:
    """Write ``model`` to ``path`` and return the greatest difference of its logits from the model's own on ``images``.

    Args:
        images: real images (N, C, H, W) in [0, 1]; the file reads images of their size.
        to: one of `FORMATS`; by default what the path's suffix says.

    Raises DasError, and writes nothing, for a format that is unknown or whose package is not installed, for a model
    that cannot be exported, and for logits that differ by more than `TOLERANCE`.
    """
    write, packages = FORMATS[named(path, to)]
    missing = [package for package in packages if not find_spec(package)]
    if missing:
        raise DasError(f"{path}: needs {', '.join(missing)}; install the extra `export` (uv sync --extra export)")
    model = model.eval()
    with torch.no_grad():
        expected = torch.cat([model(images), model(images[:1])])
    try:
        with warnings.catch_warnings():  # of exporters, about their own ways
            warnings.simplefilter("ignore")
            content, read = write(model, images)
    except DasError:
        raise
    except Exception as error:  # exporters raise whatever the operation that they do not know makes them raise
        reason = " ".join(str(error).split())[:300]
        raise DasError(f"{path}: {model.architecture.network} cannot be exported ({reason})") from error
    found = torch.cat([read(images), read(images[:1])])
    difference = float((found - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise DasError(
            f"{path}: is not written; its logits differ from the model's by up to {difference:.2g}, "
            f"more than {allowed:.2g}"
        )
    publish(path, content)
    return difference


def named(path: Path, to: str | None = None) -> str:
    """The format that ``to``, or else the suffix of ``path``, names; DasError for another."""
    name = to or path.suffix.removeprefix(".")
    if name not in FORMATS:
        asked = f"--to {to}" if to else f"{path}: its suffix"
        raise DasError(f"{asked}: is no format; use one of {', '.join(FORMATS)}")
    return name


def metadata(model: DasModel, height: int, width: int) -> dict[str, str]:
    """What every exported file says of the model."""
    return {
        "classes": json.dumps(model.classes),
        "input": f"images (B, {len(model.mean)}, {height}, {width}), float32 in [0, 1]",
        "output": "logits (B, K, H, W)" if model.architecture.head else "logits (B, K)",
        "mean": json.dumps(model.mean),
        "std": json.dumps(model.std),
        "architecture": model.architecture.model_dump_json(),
        "policy": model.policy.dumps(),
    }


Written = tuple[bytes, Callable[[Tensor], Tensor]]  # the file, and what it makes of images when it is read


def _program(model: DasModel, images: Tensor) -> torch.export.ExportedProgram:
    plain = PlainModel(model, *images.shape[2:]).requires_grad_(False)
    batch = torch.export.Dim("batch", min=1)
    example = images[:1].expand(2, -1, -1, -1).contiguous()  # tracing takes a batch of one for a constant
    return torch.export.export(plain, (example,), dynamic_shapes={"images": {0: batch}}, strict=False)


def _pt2(model: DasModel, images: Tensor) -> Written:
    file = io.BytesIO()
    torch.export.save(_program(model, images), file, extra_files=metadata(model, *images.shape[2:]))
    return file.getvalue(), torch.export.load(io.BytesIO(file.getvalue())).module()


def _onnx(model: DasModel, images: Tensor) -> Written:
    import onnxruntime

    program = torch.onnx.export(
        _program(model, images), dynamo=True, input_names=["images"], output_names=["logits"], verbose=False
    )
    assert program is not None
    program.model.metadata_props.update(metadata(model, *images.shape[2:]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        program.save(file)
        content = file.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return content, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _safetensors(model: DasModel, images: Tensor) -> Written:
    from safetensors.torch import load, save

    weights = {name: tensor.cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    about = metadata(model, *images.shape[2:])
    content = save(weights, about)
    architecture = Architecture.model_validate_json(about["architecture"]).model_copy(update={"pretrained": False})
    parts = (json.loads(about[key]) for key in ("classes", "mean", "std"))
    again = tasks.model(architecture, Policy.loads(about["policy"]), *parts).eval()
    again.network.load_state_dict(load(content))
    return content, torch.no_grad()(again)


#: By name, which is also the suffix: what makes the file, and the packages that it needs.
FORMATS = {
    "onnx": (_onnx, ("onnx", "onnxscript", "onnxruntime")),
    "pt2": (_pt2, ()),
    "safetensors": (_safetensors, ("safetensors",)),
}
