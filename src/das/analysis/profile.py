"""What a video network costs beside the same backbone on one frame and on T independent frames."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import product

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity
from torch.profiler import profile as record
from torch.utils.flop_counter import FlopCounterMode

from das.models import video_model

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler reports its own steps and a missing GPU on stderr

#: Fusion -> what its authors publish of its cost, with the source.
PUBLISHED = {"tsm": "0 parameters, 0 FLOPs (mit-han-lab/temporal-shift-module, README)"}


def profile(
    backbones: Iterable[str],
    fusions: Iterable[str] = ("none", "tsm", "gsf"),
    frames: Iterable[int] = (8,),
    *,
    batch: int = 16,
    image_size: tuple[int, int, int] = (3, 32, 32),
    num_classes: int = 10,
    fusion_options: Mapping[str, Mapping] | None = None,
    repetitions: int = 5,
    device: str = "cpu",
) -> pd.DataFrame:
    """Measure backbone x fusion x T; one row each, and one for every backbone with T = 1.

    A step is forward and backward of the cross-entropy of ``batch`` videos of ``image_size`` (C, H, W).
    ``fusion_options`` maps a fusion to its options. A backbone's rows are measured in turns, and the shortest of
    ``repetitions`` steps counts.

    Columns: backbone, fusion, T; parameters; gflops, of one video's forward pass as torch counts them (2 a
    multiply-add; no element-wise operations); step_ms; frames_per_s; peak_mib, the most that a step allocates beyond
    the model and its input, gradients included; time_vs_1: step against the backbone on one frame; time_vs_T and
    memory_vs_T: against the backbone without fusion on T frames. DasError for unknown names.
    """
    rows = []
    for name in backbones:
        kinds = [
            ("none", 1),
            *(kind for kind in product(dict.fromkeys(["none", *fusions]), frames) if kind != ("none", 1)),
        ]
        made = {}
        for fusion, count in kinds:
            options = (fusion_options or {}).get(fusion)
            model = video_model(
                name, num_classes, count, fusion=fusion, fusion_options=options, in_channels=image_size[0]
            ).to(device)
            made[fusion, count] = model, torch.rand(batch, count, *image_size, device=device)
        seconds = shortest_seconds({kind: training_step(*pair) for kind, pair in made.items()}, repetitions, device)
        memory = {kind: peak_memory(training_step(*pair), device) for kind, pair in made.items()}
        for (fusion, count), (model, videos) in made.items():
            rows.append(
                {
                    "backbone": name,
                    "fusion": fusion,
                    "T": count,
                    "parameters": sum(parameter.numel() for parameter in model.parameters()),
                    "gflops": flops(model, videos[:1]) / 1e9,
                    "step_ms": 1e3 * seconds[fusion, count],
                    "frames_per_s": batch * count / seconds[fusion, count],
                    "peak_mib": memory[fusion, count] / 2**20,
                    "time_vs_1": seconds[fusion, count] / seconds["none", 1],
                    "time_vs_T": seconds[fusion, count] / seconds["none", count],
                    "memory_vs_T": memory[fusion, count] / memory["none", count],
                }
            )
    return pd.DataFrame(rows)


def flops(model: nn.Module, videos: torch.Tensor) -> int:
    """Floating point operations of ``model(videos)`` in evaluation, as ``torch.utils.flop_counter`` counts them."""
    training = model.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(videos)
    model.train(training)
    return counter.get_total_flops()


def peak_memory(call: Callable[[], object], device: str = "cpu") -> int:
    """The most bytes that ``call`` holds at a time of tensor memory that it allocates itself."""
    if torch.device(device).type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with record(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def training_step(model: nn.Module, videos: torch.Tensor) -> Callable[[], None]:
    """Forward and backward of the cross-entropy of ``model(videos)``, as a call that keeps no gradient."""
    targets = torch.zeros(len(videos), dtype=torch.long, device=videos.device)

    def step():
        F.cross_entropy(model(videos), targets).backward()
        model.zero_grad()

    return step


def shortest_seconds(calls: Mapping[object, Callable], repetitions: int, device: str) -> dict[object, float]:
    """Seconds of each call's shortest repetition, after one to warm up; the calls take turns."""
    shortest = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(repetitions):
        for key, call in calls.items():
            _synchronize(device)
            start = time.perf_counter()
            call()
            _synchronize(device)
            shortest[key] = min(shortest[key], time.perf_counter() - start)
    return shortest


def _synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
