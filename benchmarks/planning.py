"""What a study costs before anything is trained: reading it, asking 1,000 runs for digests and paths, taking a finished
run from the store, and Snakemake's plan.

python -m benchmarks.planning
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import write

ROOT = Path(__file__).parents[1]
BINARIES = Path(sys.executable).parent
REPETITIONS = 3
SEEDS = 143  # of 7 methods: 1,001 runs
LARGE = {"study": {"name": "large", "seeds": list(range(SEEDS))}}
TINY = {
    "study": {"name": "tiny", "methods": ["baseline"], "seeds": [0]},
    "datasets": {"fashion_mnist": {"options": {"train_per_class": 8, "test_per_class": 4}}},
    "recipes": {"quick": {"epochs": 1, "batch_size": 20}},
}
READ = """
import sys, time
start = time.perf_counter()
from das.study import load_study, of_study
runs = of_study(load_study(["params.yaml", "large.yaml"]))
asked = [(run.digest, run.main, run.record) for run in runs]
assert len({run[0] for run in asked}) > 1 and "torch" not in sys.modules
print(len(asked), time.perf_counter() - start)
"""


def project() -> Path:
    """A folder in which studies run, with two of them."""
    folder = Path(tempfile.mkdtemp())
    for name in ("Snakefile", "workflow", "profiles", "params.yaml", "data"):
        (folder / name).symlink_to(ROOT / name)
    for name, study in (("large", LARGE), ("tiny", TINY)):
        (folder / f"{name}.yaml").write_text(json.dumps(study))  # JSON is YAML
    return folder


def seconds(folder: Path, *command: str) -> float:
    """Of the fastest of some calls."""
    best = float("inf")
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        subprocess.run([BINARIES / command[0], *command[1:]], cwd=folder, check=True, capture_output=True)
        best = min(best, time.perf_counter() - start)
    return best


def taking(folder: Path) -> float:
    """Seconds that `das train` needs for a run that lies in the store, start of the interpreter included."""
    train = ["das", "train", "fashion_mnist", "resnet8", "baseline", "--study", "params.yaml", "--study", "tiny.yaml"]
    subprocess.run([BINARIES / train[0], *train[1:]], cwd=folder, check=True, capture_output=True)
    best = float("inf")
    for _ in range(REPETITIONS):
        for path in (folder / "results/numbers").rglob("seed0*"):
            path.unlink()
        best = min(best, once(folder, train))
    return best


def once(folder: Path, command: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run([BINARIES / command[0], *command[1:]], cwd=folder, check=True, capture_output=True, text=True)
    assert "taken from the store" in done.stdout, done.stdout
    return time.perf_counter() - start


def main() -> None:
    folder = project()
    inner = [
        subprocess.run([sys.executable, "-c", READ], cwd=folder, check=True, capture_output=True, text=True).stdout
        for _ in range(REPETITIONS)
    ]
    runs, asking = int(inner[0].split()[0]), min(float(line.split()[1]) for line in inner)
    empty = seconds(folder, "python", "-c", "pass")
    rows = [
        {"what": f"read a study, digests and paths of {runs} runs", "seconds": asking},
        {"what": "take a run from the store (`das train`, start included)", "seconds": taking(folder)},
        {
            "what": f"`snakemake -n results/tables` for {runs} runs",
            "seconds": seconds(folder, "snakemake", "-n", "results/tables", "--configfile", "large.yaml"),
        },
        {
            "what": "`snakemake -n results/tables` for 1 run",
            "seconds": seconds(folder, "snakemake", "-n", "results/tables", "--configfile", "tiny.yaml"),
        },
        {"what": "`python -c pass`", "seconds": empty},
    ]
    write("planning", "Before anything is trained", rows)


if __name__ == "__main__":
    main()
