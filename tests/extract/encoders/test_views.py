"""Views: their names, and which part of a frame each shows."""

import numpy as np
import pytest

from framebank.extract.encoders.preprocess import Preprocessing
from framebank.extract.encoders.views import GROUPS, view_names
from framebank.store import DataError

MEAN, STD = (0.5, 0.25, 0.75), (0.25, 0.25, 0.25)


def views(image: np.ndarray, spec: str, *, size: tuple[int, int] = (8, 8), mode: str = "shortest") -> np.ndarray:
    return Preprocessing(size, mode, "bicubic", 9, MEAN, STD, view_names(spec))(image)


def counting(height: int, width: int) -> np.ndarray:
    """A frame each of whose pixels is known by its row and its column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)


def test_one_name_for_each_stored_view() -> None:
    assert view_names("centre") == ("centre",)
    assert view_names("three-crop+flip") == ("first-crop", "middle-crop", "last-crop", "flip")
    assert len(set(view_names("+".join(GROUPS)))) == 1 + 1 + 3 + 1 + 10


@pytest.mark.parametrize(
    ("spec", "told"),
    [("corner", "'corner' is not known; expected centre, flip"), ("", "'' is not known"), ("flip+flip", "view twice")],
)
def test_what_is_not_known_is_said(spec: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        view_names(spec)


def test_flip_is_the_centre_mirrored() -> None:
    centre, flip = views(counting(8, 20), "centre+flip")
    np.testing.assert_array_equal(centre, counting(8, 20)[:, 6:14])
    np.testing.assert_array_equal(flip, centre[:, ::-1])


def test_three_crops_move_along_the_long_side() -> None:
    wide = counting(8, 20)
    np.testing.assert_array_equal(views(wide, "three-crop"), [wide[:, :8], wide[:, 6:14], wide[:, 12:]])
    tall = counting(20, 8)
    np.testing.assert_array_equal(views(tall, "three-crop"), [tall[:8], tall[6:14], tall[12:]])
    np.testing.assert_array_equal(views(wide, "three-crop", mode="squash"), views(wide, "three-crop"))


def test_a_letterbox_shows_the_whole_frame_on_the_mean_colour() -> None:
    (picture,) = views(np.full((10, 20, 3), 200, np.uint8), "letterbox")
    assert (picture[2:6] == 200).all()
    assert (picture[[0, 1, 6, 7]] == [128, 64, 191]).all()
    (grey,) = views(np.full((10, 20, 3), 200, np.uint8), "letterbox", mode="longest")
    assert (grey[[0, 1, 6, 7]] == 9).all()  # a model that was trained with padding knows its colour


def test_ten_views_are_corners_and_centre_and_their_mirror_images() -> None:
    wide = counting(16, 30)
    found = views(wide, "ten-view", size=(14, 14))
    places = [(0, 0), (0, 16), (2, 0), (2, 16), (1, 8)]
    expected = np.stack([wide[top : top + 14, left : left + 14] for top, left in places])
    np.testing.assert_array_equal(found, np.concatenate([expected, expected[:, :, ::-1]]))


def test_any_shape_gives_every_view() -> None:
    generator = np.random.default_rng(0)
    for height, width in [(1, 1), (1, 90), (37, 5), (8, 8), (240, 320)]:
        image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for size in [(8, 8), (6, 10)]:
            assert views(image, "+".join(GROUPS), size=size).shape == (16, *size, 3)
