"""What varies from run to run: when, where, by what code and at what cost a result was made."""

import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGE = Path(__file__).parent.parent


def _git_commit() -> str | None:
    """The commit of the source tree, with `+` if it was changed since; None outside a git checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", PACKAGE, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


class Meter:
    """Measures one run: wall seconds, device seconds, peak memory. ``state`` carries them over an interruption."""

    def __init__(self, device: torch.device, state: dict[str, float] | None = None):
        self.device, self.before = device, state or {"wall_s": 0.0, "device_s": 0.0}
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def state(self) -> dict[str, float]:
        """Seconds so far: wall clock; on the device (CPU: processor time of all threads; GPU: wall clock)."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        device = wall if self.device.type == "cuda" else cpu
        return {"wall_s": self.before["wall_s"] + wall, "device_s": self.before["device_s"] + device}

    def record(self) -> dict[str, Any]:
        """What a run record (`seed0.run.json`) says of how the run went: cost, machine, packages, commit."""
        if self.device.type == "cuda":
            peak, machine = torch.cuda.max_memory_allocated(self.device), torch.cuda.get_device_name(self.device)
        else:
            peak, machine = _peak_resident_bytes(), _processor()
        packages = ("torch", "torchvision", "numpy")
        return {
            "cost": {key: round(value, 3) for key, value in self.state().items()} | {"peak_memory_bytes": peak},
            "machine": {"device": machine, "platform": platform.platform(), "python": platform.python_version()},
            "packages": {package: version(package) for package in packages},
            "git_commit": _git_commit(),
        }


#: Bytes that lie in the process this one was forked from (das.cli.warm), would lie in its own had it started by itself,
#: and are not counted there.
shared_bytes = 0


def resident_bytes() -> int:
    """What of this process lies in memory now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak_resident_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return shared_bytes + (peak if sys.platform == "darwin" else peak * 1024)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
