"""The device and the arithmetic a run uses, made deterministic."""

import contextlib
import os

import torch

from das.errors import DasError
from das.study.schema import Compute


def prepare(compute: Compute) -> torch.device:
    """Set up deterministic arithmetic as the study asks and return the device. Raises DasError without that device.

    The thread count comes from the study, never from the environment: sums are taken in an order that depends on it,
    so a number made under OMP_NUM_THREADS=8 is the same as one made under 1.
    """
    require_device(compute.device, "compute.device")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(compute.threads)
    if compute.device == "cuda" or compute.threads > 1:
        # One CPU thread is deterministic by itself, and this call imports the compiler: seconds, in every job.
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(compute.device)


def require_device(device: str, key: str) -> None:
    """Raise DasError, naming ``key``, for a device that is not here or that nothing was made for."""
    if device not in ("cpu", "cuda"):
        raise DasError(f"{key}: is {device!r}; should be 'cpu' or 'cuda'")
    if device == "cuda" and not torch.cuda.is_available():
        raise DasError(f"{key}: is 'cuda', but torch finds no CUDA device here; use 'cpu'")


def arithmetic(compute: Compute) -> contextlib.AbstractContextManager:
    """The autocast context of the study's precision."""
    if compute.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(compute.device, dtype=torch.bfloat16)
