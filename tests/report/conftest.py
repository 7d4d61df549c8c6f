"""Pages of made-up studies, and what Chromium says of them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.report.studies import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
    "--virtual-time-budget=20000",  # of which what waits for nothing takes none
]
# Errors and refused requests are collected from the first line on; the answer replaces the page.
WATCH = """<script>
window.errors = [];
for (const kind of ["error", "warn"]) console[kind] = (...words) => errors.push(words.join(" "));
addEventListener("error", (event) => errors.push(event.message || "not loaded: " + event.target.src), true);
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => errors.push("refused: " + event.blockedURI));
</script>"""
ASK = """<script>
addEventListener("load", async () => {
  let answer;
  try { answer = await (async () => { %s })(); } catch (error) { answer = "failed: " + error; }
  const requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  document.body.innerHTML = "<pre id=answer></pre>";
  document.getElementById("answer").textContent = JSON.stringify({ answer, errors, requests });
});
</script>"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder that has the published numbers."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def browse(tmp_path):
    """What JavaScript returns in a page that is open in Chromium; fails where the page had an error or asked the
    network for anything."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")

    def browse(page: Path, script: str, *flags: str):
        watched = page.with_name(f"watched_{page.name}")
        text = page.read_text().replace("<head>", f"<head>{WATCH}", 1)
        watched.write_text(text.replace("</body>", f"{ASK % script}</body>", 1))
        command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={tmp_path / 'chromium'}", "--dump-dom", watched.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stdout[-2000:] + done.stderr[-2000:]
        said = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        assert said["errors"] == []
        assert said["requests"] == []
        return said["answer"]

    return browse
