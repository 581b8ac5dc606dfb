"""Filters: an expression means what a loop over the videos would find, and says nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from framebank.store import DataError, Video
from framebank.store.indexes.filters import fitting

VIDEOS = [
    Video(f"{label}/{number}", Path(f"/clips/{label}{number}.mp4"), label, split, start, end)
    for label in ("surfing", "archery", "o'clock")
    for number, (split, start, end) in enumerate([("train", None, None), ("test", 1.5, 9.0), ("val", 10.0, 40.0)])
]


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("label = 'surfing'", lambda v: v.label == "surfing"),
        ("LABEL in ('surfing','archery') AND split != 'test'", lambda v: v.label != "o'clock" and v.split != "test"),
        ("duration < 20", lambda v: v.end is not None and v.end - v.start < 20),
        ("start >= 1.5 and not label = 'archery'", lambda v: v.start is not None and v.label != "archery"),
        ("end is null or split='val'", lambda v: v.end is None or v.split == "val"),
        (
            "video_id like 'arch%' and (split = 'train' or split = 'val')",
            lambda v: v.label == "archery" and v.split != "test",
        ),
        ("path glob '/clips/*0.mp4'", lambda v: v.path.name.endswith("0.mp4")),
        ("duration between 7 and 8", lambda v: v.end == 9.0),
        ("label = 'o''clock'", lambda v: v.label == "o'clock"),
        ('label = "o\'clock"', lambda v: v.label == "o'clock"),
    ],
)
def test_an_expression_means_what_it_says(expression: str, fits: Callable[[Video], bool]) -> None:
    assert fitting(VIDEOS, expression) == [place for place, video in enumerate(VIDEOS) if fits(video)]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("labl = 'surfing'", "names 'labl', which is no column; near names: 'label'"),
        ("label = surfing", "names 'surfing', which is no column"),
        ("label = 'a'; drop table videos", "cannot be read at ';"),
        ("length(label) > 3", "names 'length', which is no column"),
        ("label in (select label)", "names 'select', which is no column"),
        ("label = ", "cannot be read"),
        ("label = 'a' --", "cannot be read at '--'"),
        ("(((label = 'a'", "cannot be read"),
        ("", "the filter is empty"),
        ("label = 'diving'", "no video of the 9 fits the filter"),
        ("(" * 9000, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(expression: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        fitting(VIDEOS, expression)
    assert told in str(caught.value) and "\n" not in str(caught.value)
