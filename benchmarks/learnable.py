"""What learnable magnitudes cost: the relaxed cell with them beside the same cell with fixed ones, in one run.

Forward and backward to alpha (and to the magnitudes); T = 8, 14 edges of 5 operations, as `benchmarks.video`.

Run ``OMP_NUM_THREADS=1 uv run --group benchmark python -m benchmarks.learnable``.
"""

from benchmarks._measure import fastest, write
from benchmarks.video import cell_run

REPETITIONS = 8


def main() -> None:
    rows = []
    for batch, side in ((128, 32), (32, 64)):
        runs = {"fixed": cell_run(batch, side), "learnable": cell_run(batch, side, magnitudes="learnable")}
        seconds = fastest(runs, REPETITIONS)
        rows += [
            {
                "what": f"relaxed cell, {batch} x {side}²",
                "magnitudes": name,
                "ms": 1e3 * value,
                "times fixed": value / seconds["fixed"],
            }
            for name, value in seconds.items()
        ]
    write("learnable", "Learnable magnitudes beside fixed ones", rows)


if __name__ == "__main__":
    main()
