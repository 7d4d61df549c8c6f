"""The page of a study of 1,000 runs: how long it takes to make, and to open in Chromium.

python -m benchmarks.page
"""

import json
import os
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from tests.report.studies import ROOT, make, study

from benchmarks._measure import write
from das.analysis.figures import write_figures
from das.analysis.tables import write_tables
from das.report.page import write_page
from das.study import of_study, products

METHODS, SEEDS = 8, 125
REPETITIONS = 5
#: Milliseconds from the start of the navigation until all is loaded and laid out, and of sorting and filtering the
#: longest table, layout included.
ASK = """<script>
addEventListener("load", () => {
  const laid = () => { document.body.offsetHeight; return performance.now(); };
  const timed = (act) => { const start = laid(); act(); return laid() - start; };
  const opened = laid();
  const tables = [...document.querySelectorAll("table")];
  const longest = tables.reduce((a, b) => (b.rows.length > a.rows.length ? b : a));
  const rows = longest.tBodies[0].rows.length, input = longest.closest(".table").querySelector("input");
  const heads = [...longest.tHead.rows[0].cells];
  const score = heads.find((head) => head.textContent.startsWith("Last epoch"));
  const sorted = timed(() => score.querySelector("button").click());
  const filtered = timed(() => { input.value = "frames 7"; input.dispatchEvent(new Event("input")); });
  document.body.innerHTML = "<pre id=answer></pre>";
  document.getElementById("answer").textContent = JSON.stringify({ rows, opened, sorted, filtered });
});
</script></body>"""
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=1280,900")  # fmt: skip


def chromium(page: Path, *flags: str) -> tuple[str, float]:
    """What a fresh Chromium prints of ``page``, and the seconds from its start to its end."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout, time.perf_counter() - start


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "data").symlink_to(ROOT / "data")
    here = Path.cwd()
    os.chdir(folder)
    names = list(study().methods)[:METHODS]
    made = study(study=study().study.model_dump() | {"methods": names, "seeds": list(range(SEEDS))})
    draws = random.Random(0)
    make(made, lambda run: 0.5 + 0.1 * draws.random())
    pictures = {"fashion_mnist": torch.rand(3, 1, 28, 28)}
    with products.making(made, "tables") as place:
        write_tables(made, place)
    with products.making(made, "figures") as place:
        write_figures(made, place, pictures)
    start = time.perf_counter()
    page = write_page(made, pictures).resolve()
    rows = [
        {
            "what": f"`das report` of {len(of_study(made))} runs, without starting Python",
            "value": time.perf_counter() - start,
            "unit": "s",
        }
    ]
    rows.append({"what": "the page", "value": page.stat().st_size / 2**20, "unit": "MiB"})
    asked, blank = page.with_name("asked.html"), page.with_name("blank.html")
    asked.write_text(page.read_text().replace("</body>", ASK))
    blank.write_text("<!doctype html><title>nothing</title>")
    said = [json.loads(re.findall(r'<pre id="answer">(.*?)</pre>', chromium(asked, "--dump-dom")[0])[-1])
            for _ in range(REPETITIONS)]  # fmt: skip
    drawn, nothing = (
        min(chromium(one, f"--screenshot={folder / 'seen.png'}")[1] for _ in range(REPETITIONS))
        for one in (page, blank)
    )
    best = {key: min(answer[key] for answer in said) for key in said[0]}
    rows += [
        {"what": "from the navigation until all is loaded and laid out", "value": best["opened"] / 1000, "unit": "s"},
        {"what": "until it is a picture, more than for an empty page", "value": drawn - nothing, "unit": "s"},
        {"what": f"sorting the table of {best['rows']} runs", "value": best["sorted"] / 1000, "unit": "s"},
        {"what": "filtering it", "value": best["filtered"] / 1000, "unit": "s"},
    ]
    os.chdir(here)
    write("page", "The page of a study of 1,000 runs", rows)


if __name__ == "__main__":
    main()
