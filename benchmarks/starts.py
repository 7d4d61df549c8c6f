"""A short run of a Snakemake call: started by itself, and by the warm process.

python -m benchmarks.starts
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from tests.workflow.project import FOLDER, TINY, project_in

from benchmarks._measure import write

REPETITIONS = 7
NUMBER = FOLDER.format(study="tiny") + "/baseline/seed{seed}.json"


def run(folder: Path, seed: int, **more: str) -> float:
    """Seconds of `das train`, the training itself left out: what starting costs."""
    command = [Path(sys.executable).parent / "das", "train", "few", "resnet8", "baseline", "--seed", str(seed)]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | {"DAS_STUDY": "params.yaml:study.yaml"} | more,
                   check=True, capture_output=True)  # fmt: skip
    took = time.perf_counter() - start
    record = json.loads((folder / NUMBER.format(seed=seed)).with_suffix(".run.json").read_text())
    return took - record["cost"]["wall_s"]


def main() -> None:
    folder = project_in(Path(tempfile.mkdtemp()))
    (folder / "study.yaml").write_text(yaml.safe_dump(TINY | {"study": TINY["study"] | {"seeds": list(range(99))}}))
    owner = subprocess.Popen(["sleep", "600"])
    warm = {"DAS_WARM": str(owner.pid)}
    run(folder, 0)
    run(folder, 1, **warm)  # starts the warm process
    run(folder, 2, **warm)  # waits for it
    alone, shared = [], []
    for place in range(REPETITIONS):
        alone.append(run(folder, 3 + 2 * place))
        shared.append(run(folder, 4 + 2 * place, **warm))
    owner.kill()
    ours, theirs = statistics.median(shared), statistics.median(alone)
    write(
        "starts",
        "A short run, started by itself and by the warm process",
        [
            {"what": "a run that starts by itself", "value": theirs, "unit": "s"},
            {"what": "one that the warm process starts", "value": ours, "unit": "s"},
            {"what": "ratio", "value": ours / theirs, "unit": ""},
        ],
    )


if __name__ == "__main__":
    main()
