"""Tables and figures of studies that are odd: what they have is shown, and nothing stops."""

import time

import pandas as pd
import pytest
import torch
from PIL import Image

from das.analysis import figures, results
from das.analysis.charts import SPAN, accuracy_by_method
from das.analysis.style import save_figure
from das.analysis.tables import accuracy_table, write_tables
from das.study import of_study, products
from das.study.runs import searches_of

HOSTILE = r"50 % of $x_1^2$ & <b>#3</b> {a} \alpha ~ $ é"
MANY = {"baseline": [0.8, 0.82, 0.81], "das": [0.83, 0.84, 0.85]}


@pytest.fixture
def written(monkeypatch):
    """A function that writes a study's tables and figures (these as .png alone, which takes half the time), and returns
    the width of the widest in inches."""
    monkeypatch.setattr(
        figures, "save_figure", lambda figure, path: save_figure(figure, path.with_name(f"{path.name}.png"))
    )

    def written(study):
        tables, drawn = products.record_path(study, "tables").parent, products.record_path(study, "figures").parent
        write_tables(study, tables)
        figures.write_figures(study, drawn, {"pictures": torch.rand(1, 1, 28, 28)})
        for name in products.tables_of(study):
            for suffix in (".csv", ".md", ".tex", "_full.tex"):
                assert (tables / f"{name}{suffix}").stat().st_size > 0
        widths = []
        for name in products.figures_of(study):
            with Image.open(drawn / f"{name}.png") as picture:
                widths.append(picture.width / picture.info["dpi"][0])
        return max(widths)

    return written


@pytest.mark.filterwarnings("error:constrained_layout")  # where there is no room
@pytest.mark.parametrize(
    ("accuracies", "seeds", "title"),
    [
        (MANY, 1, "one seed"),
        ({"baseline": [0.8, 0.82]}, 2, "one method"),
        ({"das": [0.8]}, 1, "one method that searches"),
        ({"baseline": [], "das": []}, 1, "nothing made"),
        ({"baseline": [], "das": [0.8]}, 1, "no reference"),
        (MANY, 2, HOSTILE + "unbroken" * 15),
        (MANY, 2, "a long title of many words and no end " * 5),
    ],
)
def test_all_that_is_promised_is_written_and_fits_a_page(invented, written, accuracies, seeds, title):
    assert written(invented(accuracies, seeds, title)) < 7.1


def test_missing_and_damaged_histories_are_named_and_the_rest_is_drawn(invented):
    study = invented(MANY, 3)
    first, second, _ = searches_of(study)
    first.files["history"].unlink()
    second.files["history"].write_text("{")
    assert [search["seed"] for search in results.searches(study)] == [2]
    table = products.record_path(study, "tables").parent
    write_tables(study, table)
    search = pd.read_csv(table / "search.csv").set_index("seed").verdict
    assert search[0] == "not run"
    assert "is not the file that was made" in search[1]


def test_one_seed_has_neither_intervals_nor_words_about_them(invented):
    (panel,), legend = (figure := accuracy_by_method(invented(MANY, 1))).axes, figure.legends[0]
    assert not panel.containers  # error bars
    assert legend.get_texts()[0].get_text() == "mean (one seed: no interval)"
    (panel,) = accuracy_by_method(invented(MANY, 3)).axes
    assert len(panel.containers) == 2


def test_small_differences_look_small(invented):
    (panel,) = accuracy_by_method(invented({"baseline": [0.8, 0.8001], "das": [0.8, 0.8002]}, 2)).axes
    low, high = panel.get_xlim()
    assert high - low == pytest.approx(SPAN)
    assert low < 80 < high
    (panel,) = accuracy_by_method(invented({"baseline": [1.0, 1.0], "das": [0.9999, 1.0]}, 2)).axes
    assert panel.get_xlim() == pytest.approx((95, 100))


@pytest.mark.long
def test_a_thousand_runs_take_seconds(invented, written):
    accuracies = {"baseline": [0.8] * 50} | {f"das{n}": [0.8 + n / 1000] * 50 for n in range(19)}
    study = invented(accuracies, 50)
    assert len(of_study(study)) == 1000
    start = time.monotonic()
    assert accuracy_table(study).seeds.sum() == 1000
    assert written(study) < 7.1
    assert time.monotonic() - start < 120
