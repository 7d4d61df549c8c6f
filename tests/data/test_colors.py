"""Colors of classes, against those that Pascal VOC publishes."""

from das import data
from das.data import colors


def test_voc_colors_are_the_published_ones():
    """The legend of VOC 2012's segmentation task, and the white-ish border value's place at the end."""
    published = {
        0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 5: (128, 0, 128),
        6: (0, 128, 128), 7: (128, 128, 128), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128),
        255: (224, 224, 192),
    }  # fmt: skip
    made = colors.voc(256)
    assert {label: made[label] for label in published} == published


def test_distinct_colors_are_distinct_and_not_black():
    assert len(set(colors.distinct(255))) == 255
    assert (0, 0, 0) not in colors.distinct(255)


def test_a_set_with_colors_has_one_a_class():
    tiles = data.load("land_cover_embedded")
    assert len(set(tiles.colors)) == len(tiles.classes)
