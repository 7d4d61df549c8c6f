"""Film strips, animations and the files of figures."""

import io
import time

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from das.analysis.strips import animation, film_strip
from das.analysis.style import PAGE, check_suffix, save_figure, wrapped
from das.analysis.words import frame_words
from das.errors import DasError
from das.video.policy import Policy
from das.video.transform import ImageToVideo


@pytest.mark.parametrize(("frames", "columns"), [(4, 4), (8, 4), (5, 5), (13, 5)])
def test_frames_are_laid_out_in_rows_that_fit_a_page_each_under_its_words(frames, columns):
    policy, images = Policy.single("rotate", 5, frames), torch.rand(2, 3, 8, 8)
    strip = film_strip(policy, images, "a long title " * 30)
    assert strip.get_figwidth() <= PAGE
    assert strip.axes[0].get_gridspec().ncols == columns
    assert [axis.get_title() for axis in strip.axes[:frames]] == frame_words(policy)
    videos = ImageToVideo(policy)(images).flatten(0, 1).permute(0, 2, 3, 1).clamp(0, 1).numpy()
    for axis, frame in zip(strip.axes, videos, strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), frame)
    canvas = FigureCanvasAgg(strip)
    canvas.draw()
    head = next(text for text in strip.texts if text.get_text().startswith("a long title"))
    assert head.get_window_extent().width < strip.bbox.width


def test_an_animation_shows_every_frame_longest_the_untouched_one_and_repeats():
    policy, image = Policy.single("zoom", 0.5, 4), torch.ones(3, 16, 24)
    with Image.open(io.BytesIO(animation(policy, image))) as gif:
        assert gif.format == "GIF"
        assert gif.info["loop"] == 0
        frames = [(frame.info["duration"], np.asarray(frame.convert("L"))) for frame in ImageSequence.Iterator(gif)]
    assert [duration for duration, _ in frames] == [450, 450, 900, 450]
    height, width = frames[0][1].shape
    corners = [frame[height // 2, 14] for _, frame in frames]  # near the left border: zoomed out, it is black
    assert [corner > 128 for corner in corners] == [False, False, True, False]
    assert animation(policy, image) == animation(policy, image)
    assert 0.5 < height / width < 1


def test_a_figure_is_written_as_its_suffix_says_and_equal_figures_are_equal_bytes(tmp_path):
    figure = Figure()
    figure.text(0.5, 0.5, "50 $ and 60 $")  # no formula
    assert save_figure(figure, tmp_path / "both") == tmp_path / "both.png"
    for suffix in (".png", ".pdf", ".svg"):
        assert save_figure(figure, tmp_path / f"one{suffix}") == tmp_path / f"one{suffix}"
    assert {path.name for path in tmp_path.iterdir()} == {"both.png", "both.pdf", "one.png", "one.pdf", "one.svg"}
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    time.sleep(1)  # formats' dates are in seconds
    save_figure(figure, tmp_path / "both")
    save_figure(figure, tmp_path / "one.svg")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(DasError, match=r"a\.jpg: should end in \.png, \.pdf, \.svg or \.gif, not \.jpg"):
        check_suffix(tmp_path / "a.jpg", ".gif")


def test_texts_are_wrapped_and_what_is_left_out_is_marked():
    assert wrapped("one two three four", 9) == "one two\nthree\nfour"
    assert wrapped("one two three four five six", 9, 2) == "one two\nthree …"
    assert wrapped("x" * 25, 10, 3) == f"{'x' * 10}\n{'x' * 10}\n{'x' * 5}"
