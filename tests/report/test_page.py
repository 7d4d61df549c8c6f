"""The page: whole by itself, whatever the study holds or lacks; read back by Python's parser and by Chromium."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from tests.report.studies import POLICY, ROOT, leave, make, study

from das.analysis.figures import write_figures
from das.analysis.tables import write_tables
from das.report import captions, figures, films, leads, tables
from das.report.page import render, write_page
from das.study import products
from das.study.runs import searches_of
from das.video.policy import Policy
from das.video.transform import ImageToVideo

SCORES = {"baseline": 0.5, "das": 0.6, "random": 0.4, "baseline_tta": 0.3}
NASTY = "<script>alert(1)</script> & \"a\" | 'b' #7 50 % \\alpha_{1} $x^2$ ~ " + "x" * 165
VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Elements, by name with their attributes; rows of text by table, and of the places that cells lead to; fails where
    elements do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.tables, self.leads, self.links = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.found.append((tag, attributes))
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.leads.append([])
        elif tag == "tr":
            self.tables[-1].append([])
            self.leads[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.leads[-1][-1].append(None)
        elif tag == "a" and {"td", "th"} & set(self.open):
            self.leads[-1][-1][-1] = attributes["href"]

    def led(self, column):
        """{first cell of a row: where its cell of ``column`` leads to} of the first table that has the column."""
        (rows, leads), *_ = [
            both for both in zip(self.tables, self.leads, strict=True) if both[0] and column in both[0][0]
        ]
        at = rows[0].index(column)
        return {row[0]: lead[at] for row, lead in zip(rows[1:], leads[1:], strict=True)}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += text


def score(run):
    return SCORES[run.method] + run.seed / 100


def pictures():
    return {"fashion_mnist": torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))}


def drawn(made, with_figures: bool = True) -> str:
    """The page of ``made`` with its tables and figures, written."""
    with products.making(made, "tables") as folder:
        write_tables(made, folder)
    if with_figures:
        with products.making(made, "figures") as folder:
            write_figures(made, folder, pictures())
    return write_page(made, pictures()).read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder, page) of a study of which everything was made."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole")
        patch.chdir(folder)
        (folder / "data").symlink_to(ROOT / "data")
        made = study()
        make(made, score)
        drawn(made)
    return folder, folder / "results/report/made.html"


def test_the_page_is_whole_by_itself_and_its_links_lead_to_files(whole):
    _, page = whole
    outline = Outline(page.read_text())
    assert not re.search(r"(src|href|url)\W{0,3}(https?:)?//", page.read_text())
    for link in outline.links:
        assert link.startswith(("data:", "#")) or (page.parent / link).exists(), link
    ids = {attributes["id"] for _, attributes in outline.found if "id" in attributes}
    assert {link[1:] for link in outline.links if link.startswith("#")} <= ids
    for _, attributes in outline.found:
        assert attributes.get("alt", "said") != ""


def test_tables_are_those_that_were_written(whole):
    folder, page = whole
    rows = Outline(page.read_text()).tables[0]
    lines = (folder / "results/tables/made/accuracy.md").read_text().splitlines()[2:]
    written = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|:")]
    assert rows == written


def test_every_run_is_there_with_its_number(whole):
    _, page = whole
    outline = Outline(page.read_text())
    (runs,) = [table for table in outline.tables if table[0][:3] == ["Method", "Seed", "State"]]
    assert len(runs) == 1 + 4 * 3
    assert runs[1 + 2 * 3 + 2][:6] == ["DAS", "2", "made", "62.00", "62.00", "3"]
    for suffix in (".json", ".run.json"):
        assert f"../numbers/made/fashion_mnist/resnet8/das/seed2{suffix}" in outline.links


def test_methods_lead_to_their_runs_and_searches_to_their_files(whole):
    _, page = whole
    outline, made = Outline(page.read_text()), study()
    ids = [attributes["id"] for tag, attributes in outline.found if tag == "tr" and "id" in attributes]
    assert ids == [f"fashion_mnist/resnet8/{method}/seed{seed}" for method in made.study.methods for seed in range(3)]
    assert outline.led("Seeds") == {
        made.methods[method].title: f"#fashion_mnist/resnet8/{method}/seed0" for method in made.study.methods
    }
    (at,) = [at for at, rows in enumerate(outline.tables) if rows[0][0] == "Policy"]
    heads, *rows = outline.tables[at]
    for row, found in zip(rows, outline.leads[at][1:], strict=True):
        place = f"../policies/made/fashion_mnist/resnet8/searched/seed{row[1]}"
        expected = {
            "Policy": f"{place}.yaml",
            "Device seconds": f"{place}.run.json",
            "Alpha entropy (1: undecided)": f"{place}.history.json",
        }
        assert found == [expected.get(head) for head in heads]
    assert len(rows) == 3


def test_every_figure_has_its_picture_its_caption_and_its_numbers(whole):
    folder, page = whole
    text = page.read_text()
    names = {path.stem for path in (folder / "results/figures/made").glob("*.png")}
    assert len(names) >= 6
    for name in names:
        content = base64.b64encode((folder / f"results/figures/made/{name}.png").read_bytes()).decode()
        assert content in text, name
        assert captions.text("figure", name) in re.sub("&#39;", "'", text)
    assert "../policies/made/fashion_mnist/resnet8/searched/seed1.yaml" in text


def test_in_chromium_figures_load_tables_sort_and_filter_and_films_stand_still(whole, browse):
    folder, page = whole
    said = browse(
        page,
        """
        const pictures = [...document.images];
        const blank = pictures.filter((picture) => !picture.complete || !picture.naturalWidth).length;
        const table = document.querySelector("table"), heads = [...table.tHead.rows[0].cells];
        const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
        const column = (at) => shown().map((row) => row.cells[at].textContent);
        const at = heads.findIndex((head) => head.textContent.startsWith("Accuracy"));
        const press = (at) => heads[at].querySelector("button").click();
        press(at);
        const up = column(at), [first, named] = [heads[at].ariaSort, heads[0].ariaSort];
        press(at);
        const down = column(at);
        press(0);
        const words = column(0);
        const input = document.querySelector("input[type=search]");
        input.value = "single TIME";
        input.dispatchEvent(new Event("input"));
        const left = column(0), count = document.querySelector("output").textContent;
        const film = document.querySelector(".film img"), moving = film.getAnimations().length;
        document.querySelector("button.still").click();
        return { up, down, words, left, count, first, named, blank, pictures: pictures.length, moving,
                 still: film.getAnimations().length, labels: document.querySelector("label").textContent };
        """,
    )
    first = [float(cell.split()[0]) for cell in said["up"]]
    assert first == sorted(first) == [31.0, 41.0, 51.0, 61.0]
    assert said["down"] == said["up"][::-1]
    assert said["words"] == sorted(said["words"])
    assert said["left"] == ["Single frame, DAS's frames at test time only"]
    assert (said["count"], said["first"], said["named"]) == ("1 of 4 rows", "ascending", "none")
    assert said["blank"] == 0
    drawings = len([*(folder / "results/figures/made").glob("*.png")])
    assert said["pictures"] == drawings + 3 + 3  # films of the searched and the random policies
    assert (said["moving"], said["still"]) == (1, 0)


def test_in_chromium_a_methods_seeds_show_its_runs_alone(whole, browse):
    _, page = whole
    said = browse(
        page,
        """
        const links = [...document.querySelectorAll("td a[href^='#']")];
        const runs = document.querySelector("#runs .table"), input = runs.querySelector("input");
        const shown = () => [...runs.querySelectorAll("tbody tr")].filter((row) => !row.hidden).map((row) => row.id);
        const all = shown(), followed = [], seen = [];
        for (const link of links) {
          link.click();
          followed.push([location.hash, document.querySelector(":target").id, ...shown()]);
          await new Promise((drawn) => setTimeout(drawn, 100));
          seen.push([input, runs.querySelector("th"), document.querySelector(":target")].every((element) => {
            const { top, bottom } = element.getBoundingClientRect();
            return 0 < top && bottom < innerHeight;
          }));
        }
        input.value = "";
        input.dispatchEvent(new Event("input"));
        return { followed, seen, whole: shown().length === all.length };
        """,
    )
    places = [f"fashion_mnist/resnet8/{method}/seed" for method in ("baseline", "random", "das", "baseline_tta")]
    assert said["followed"] == [[f"#{p}0", f"{p}0", f"{p}0", f"{p}1", f"{p}2"] for p in places]
    assert said["seen"] == [True] * 4  # with the filter and the heads of the columns
    assert said["whole"]


def test_who_wants_less_motion_gets_none(whole, browse):
    _, page = whole
    script = "return document.querySelector('.film img').getAnimations().length;"
    assert browse(page, script, "--force-prefers-reduced-motion") == 0


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(whole, browse):
    """In a frame of 360 pixels: Chromium's own window is not made so narrow."""
    _, page = whole
    frame = page.with_name("frame.html")
    frame.write_text("<!doctype html><html><head></head><body></body></html>")
    content = json.dumps(page.read_text()).replace("</", "<\\/")
    said = browse(
        frame,
        f"""
        const frame = document.createElement("iframe");
        frame.style.width = "360px";
        frame.srcdoc = {content};
        document.body.append(frame);
        await new Promise((loaded) => frame.addEventListener("load", loaded));
        const page = frame.contentDocument;
        return [page.documentElement.scrollWidth, page.defaultView.innerWidth];
        """,
    )
    assert said[0] <= said[1] == 360


def test_titles_are_text_whatever_is_in_them(elsewhere, browse):
    names = study().methods
    methods = {name: names[name].model_dump() | {"title": f"{name} {NASTY}"} for name in names}
    grid = study().study.model_dump() | {"title": NASTY, "question": NASTY}
    made = study(study=grid, methods=methods)
    make(made, score)
    text = drawn(made, with_figures=False)
    outline = Outline(text)
    assert len([tag for tag, _ in outline.found if tag == "script"]) == 1
    assert outline.tables[0][3][0] == f"das {NASTY}".strip()
    assert outline.leads[0][3][1] == "#fashion_mnist/resnet8/das/seed0"
    said = browse(elsewhere / "results/report/made.html", "return document.querySelector('h1').textContent;")
    assert said == NASTY


def test_a_study_of_which_nothing_was_made_says_so(elsewhere):
    text = write_page(study(), {}).read_text()
    outline = Outline(text)
    assert "Nothing is known yet: the study has no tables." in text
    runs, _ = outline.tables  # and the checklist
    assert {row[2] for row in runs[1:]} == {"not run"}
    assert "Nothing of this was run yet." in drawn(study(), with_figures=False)


def test_what_means_several_or_is_not_there_leads_nowhere(elsewhere):
    names = study().methods
    methods = {name: names[name].model_dump() | {"title": "The same"} for name in ("das", "random")}
    made = study(methods=methods)
    make(made, score)
    first, second, third = searches_of(made)
    first.main.unlink()
    second.files["history"].unlink()
    outline = Outline(drawn(made, with_figures=False))
    tests = {row[0]: lead[1] for row, lead in zip(outline.tables[0], outline.leads[0], strict=True)}
    assert (tests["The same"], tests[names["baseline"].title]) == (None, "#fashion_mnist/resnet8/baseline/seed0")
    (at,) = [at for at, rows in enumerate(outline.tables) if rows[0][0] == "Policy"]
    policies = {row[1]: lead[0] for row, lead in zip(outline.tables[at], outline.leads[at], strict=True)}
    assert policies["0"] is None
    assert {policies[seed] for seed in "12"} == {f"../{run.main.relative_to('results')}" for run in (second, third)}


def test_rows_of_several_data_sets_lead_each_to_its_own():
    quickstart = study()
    other = quickstart.datasets["fashion_mnist"].model_dump() | {"title": "Other, images"}
    grid = quickstart.study.model_dump() | {"datasets": ["fashion_mnist", "other"], "seeds": [4, 2]}
    made = study(study=grid, datasets={"other": other})
    place = {"backbone": made.backbones["resnet8"].title, "method": made.methods["das"].title}
    rows = [{"dataset": title, **place} for title in ("Other, images", "Few images", "Older images")]
    found = leads.to_runs(made, "published", rows)
    assert {cell: run.place for cell, run in found.items()} == {
        (0, "Ours, %"): "other/resnet8/das/seed4",
        (1, "Ours, %"): "fashion_mnist/resnet8/das/seed4",
    }
    assert leads.to_runs(made, "search_cost", rows) == {}


def test_a_missing_history_and_a_damaged_record_leave_the_rest(elsewhere):
    made = study()
    make(made, score)
    first, second, _ = searches_of(made)
    first.files["history"].unlink()
    second.record.write_text("{")
    text = drawn(made, with_figures=False)
    outline = Outline(text)
    (searches,) = [table for table in outline.tables if table[0][0] == "Policy"]
    assert len(searches) == 1 + 3
    assert sum("seed" in title and "searched" in title for title in _film_titles(text)) == 2


def _film_titles(text):
    return re.findall(r'alt="\d+ frames of ([^"]*)"', text)


def test_one_method_with_one_seed_has_a_page(elsewhere):
    made = study(study=study().study.model_dump() | {"methods": ["baseline"], "seeds": [0]})
    make(made, score)
    text = drawn(made)
    assert "There is nothing to compare it with." in text
    assert not _film_titles(text)


def test_what_is_not_of_the_results_of_now_is_said(elsewhere):
    made = study()
    make(made, score)
    assert "of other results" not in drawn(made, with_figures=False)
    (run, *_) = searches_of(made)
    leave(run, halves="{ }", history=run.files["history"].read_text(), policy=POLICY.dumps())
    assert "The tables are of other results than those that are there now" in render(made, {})


def test_the_same_results_make_the_same_bytes(elsewhere):
    made = study()
    make(made, score)
    assert render(made, pictures()) == render(made, pictures())


def test_a_film_holds_every_frame_of_every_image():
    images = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    policy = Policy.single("rotate", 8.0, 3)
    sheet, width = films.strip(policy, images)
    video = ImageToVideo(policy)(images).clamp(0, 1)
    assert (sheet.shape, width) == ((40, 72, 3), 24)
    for row in range(2):
        for frame in range(3):
            part = sheet[20 * row : 20 * (row + 1), 24 * frame : 24 * (frame + 1)] / 255
            np.testing.assert_allclose(part, video[row, frame].permute(1, 2, 0), atol=0.5 / 255 + 1e-6)
    large, width = films.strip(policy, torch.rand(1, 1, 400, 300))
    assert (large.shape, width) == ((96, 3 * 72), 72)


def test_a_bar_in_a_cell_is_no_end_of_it():
    columns = [["Method", "a | b", "c"], ["Score", "1.5", "-2"]]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        " | ".join(column[at].ljust(width) for column, width in zip(columns, widths, strict=True)) for at in range(3)
    ]
    rule = "|".join(":" + "-" * (width + 1) for width in widths)
    text = f"About\n\n| {lines[0]} |\n|{rule}|\n| {lines[1]} |\n| {lines[2]} |\n"
    assert tables.markdown(text) == ("About", ["Method", "Score"], [["a | b", "1.5"], ["c", "-2"]])


def test_a_page_has_room_for_so_much(elsewhere, monkeypatch):
    folder = elsewhere / "results/figures/made"
    folder.mkdir(parents=True)
    for name in ("accuracy", "other", "zebra"):
        buffer = io.BytesIO()
        Image.new("L", (300, 100)).save(buffer, "PNG")
        (folder / f"{name}.png").write_bytes(buffer.getvalue())
    monkeypatch.setattr(figures, "MOST", 2 * len(buffer.getvalue()))
    first, second, third = figures.drawn(study())
    assert (first.name, second.name, third.name) == ("accuracy", "other", "zebra")
    assert first.data
    assert second.data
    assert third.data is None
    assert second.size == (300, 100)
    assert second.caption == captions.text("figure") == "A figure of the study."
    assert third.numbers == "../numbers/made"


def test_captions_are_the_most_particular_there_are():
    assert captions.path("figure", "film_strip_a_b_seed0").name == "figure_film_strip.rst"
    assert captions.path("table", "search_cost").name == "table_search_cost.rst"
    assert captions.path("table", "search").name == "table_search.rst"
    assert captions.path("table", "mine").name == "table.rst"
    assert captions.path("page").name == "page.rst"
