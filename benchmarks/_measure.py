"""Shared by the benchmarks: interleaved timing, peak memory, and tables of ratios in results/benchmarks/."""

import csv
import multiprocessing
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

RESULTS = Path("results/benchmarks")


TURN = 0.5  # seconds


def fastest(runs: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Seconds of the fastest call of each run, in ``repetitions`` rounds that take turns after one to warm up.

    A turn repeats short runs until half a second has passed: the first call after another run's turn pays for memory
    that the allocator gave back in between.
    """
    best = dict.fromkeys(runs, float("inf"))
    for repetition in range(repetitions + 1):
        for name, run in runs.items():
            turn = time.perf_counter()
            while time.perf_counter() - turn < TURN:
                _synchronize()
                start = time.perf_counter()
                run()
                _synchronize()
                if repetition:
                    best[name] = min(best[name], time.perf_counter() - start)
    return best


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory(function: Callable, *arguments) -> float:
    """MiB by which ``function(*arguments)()`` raises the peak of a fresh process's resident memory.

    ``function`` prepares, and returns what is measured. Linux, and the host's memory only.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report_peak, args=(sender, torch.get_num_threads(), function, arguments))
    process.start()
    sender.close()
    peak = receiver.recv()
    process.join()
    return peak


def _report_peak(sender, threads: int, function: Callable, arguments) -> None:
    torch.set_num_threads(threads)
    run = function(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts again from what is resident now
    before = _peak()
    run()
    sender.send((_peak() - before) / 1024)


def _peak() -> int:
    """The process's peak resident memory in KiB."""
    return next(int(line.split()[1]) for line in _lines("/proc/self/status") if line.startswith("VmHWM"))


def write(name: str, title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print ``rows`` as a Markdown table and write results/benchmarks/NAME.{csv,md}."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    cells = [list(rows[0]), ["---"] * len(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in cells)
    text = f"# {title}\n\n{machine()}\n\n{table}\n"
    (RESULTS / f"{name}.md").write_text(text)
    print(text)


def _text(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def machine() -> str:
    """One line that says what was measured on."""
    processor = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {torch.get_num_threads()} threads{device}, torch {torch.__version__}."


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
