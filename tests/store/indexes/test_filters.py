"""Filters: an expression means what a loop over the videos would find, and says nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from framebank.store import DataError, Video
from framebank.store.indexes.filters import Filters
from framebank.store.videos.columns import VideoColumns

VIDEOS = [
    Video(f"{label}/{number}", Path(f"/clips/{label}{number}.mp4"), label, split, start, end)
    for label in ("surfing", "archery", "o'clock")
    for number, (split, start, end) in enumerate([("train", None, None), ("test", 1.5, 9.0), ("val", 10.0, 40.0)])
]


def fitting(videos: list[Video], expression: str) -> list[int]:
    places: list[int] = Filters(VideoColumns.of(videos)).fitting(expression).tolist()
    return places


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
        ("split = 'validation' or 'Testing' = split", lambda v: v.split != "train"),
        ("split in ('valid', 'training') and split != 'Train'", lambda v: v.split == "val"),
    ],
)
def test_an_expression_means_what_it_says(expression: str, fits: Callable[[Video], bool]) -> None:
    assert fitting(VIDEOS, expression) == [place for place, video in enumerate(VIDEOS) if fits(video)]


def test_a_split_is_itself_where_two_have_names_of_one() -> None:
    both = [Video(name, Path(name), split=name) for name in ("val", "validation", "test")]
    assert fitting(both, "split = 'validation'") == [1]
    assert fitting(both, "split = 'val'") == [0]
    assert fitting(both[1:], "split = 'val'") == [0]


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
        ("split = 'diving'", "fits the filter \"split = 'diving'\"; the splits are "),
        ("label = null", "fits the filter 'label = null'; nothing equals null: expected `is null` or `is not null`"),
        ("null != (split)", "nothing equals null: expected `is null`"),
        ("(" * 9000, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(expression: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        fitting(VIDEOS, expression)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_columns_of_the_user_are_compared_as_numbers_and_as_texts() -> None:
    cells = [("7", "dusk"), ("10", ""), ("", "night"), ("1e2", "o'clock")]
    videos = [
        Video(str(number), Path("a.mp4"), extra=tuple(pair for pair in (("height", a), ("light", b)) if pair[1]))
        for number, (a, b) in enumerate(cells)
    ]
    assert fitting(videos, "height > 8") == [1, 3]
    assert fitting(videos, "height is null") == [2]
    unnamed = [Video("a", Path("/a")), Video("b", Path("/b"), "run", "train"), Video("c", Path("/c"), "run")]
    assert fitting(unnamed, "label is null") == [0] and fitting(unnamed, "label is not null") == [1, 2]
    assert fitting(unnamed, "not (split IS NOT NULL) and label = 'run'") == [2]
    assert fitting(videos, "Light in ('dusk', 'night') or light = 'o''clock'") == [0, 2, 3]
    with pytest.raises(DataError, match=r"expected one of video_id, .*duration, height, light"):
        fitting(videos, "heigth > 8")


def test_a_number_in_quotes_means_the_number_and_a_column_may_have_any_name() -> None:
    videos = [
        Video(str(number), Path("a.mp4"), extra=(("place", place), ("subject", subject)))
        for number, (place, subject) in enumerate([("home", "01"), ("park", "10"), ("home", "x1")])
    ]
    assert fitting(videos, "place = 'home'") == [0, 2]
    assert fitting(videos, "subject = '01'") == fitting(videos, "subject in ('01')") == [0]
    assert fitting(videos, "subject = 1") == fitting(videos, "subject < 5") == [0]
    assert fitting(videos, "subject like '1%'") == [0, 1]
    assert fitting(videos, "subject != '01'") == [1, 2]


def test_a_column_of_durations_tells_the_length_of_whole_videos() -> None:
    videos = [
        Video("a", Path("a.mp4"), extra=(("duration", "12.5"),)),
        Video("b", Path("b.mp4"), start=1.0, end=3.0, extra=(("duration", "99"),)),
        Video("c", Path("c.mp4")),
    ]
    assert fitting(videos, "duration < 20") == [0, 1]
    assert fitting(videos, "duration = 2") == [1]


def test_an_index_knows_the_length_of_whole_videos_where_the_list_does_not() -> None:
    videos = [
        Video("a", Path("a.mp4"), extra=(("duration", "12.5"),)),
        Video("b", Path("b.mp4"), start=1.0, end=3.0),
        Video("c", Path("c.mp4")),
        Video("d", Path("d.jpg")),
    ]
    columns = replace(VideoColumns.of(videos), durations=[30.0, 30.0, 8.25, None])
    assert Filters(columns).fitting("duration < 20").tolist() == [0, 1, 2]
    assert Filters(columns).fitting("duration = 8.25").tolist() == [2]
    assert Filters(columns).fitting("duration is null").tolist() == [3]
    assert Filters(columns.select([2, 0])).fitting("duration < 10").tolist() == [0]
    moved = columns.replaced({"c": Video("e", Path("e.mp4"), "run")})
    assert Filters(moved).fitting("duration < 10 and label = 'run'").tolist() == [2]
    with pytest.raises(DataError, match=r"'duration > 99'; the duration of 1 video is not known$"):
        Filters(columns).fitting("duration > 99")
    with pytest.raises(DataError, match="of 2 videos is not known; `framebank index STORE INDEX --update` finds"):
        fitting(videos, "duration > 99")


def test_a_cell_that_is_not_a_length_does_not_hide_a_known_one() -> None:
    cells = ("00:12", "long", "-1", "1:00:00", "n/a")
    videos = [Video(str(n), Path("a.mp4"), extra=(("duration", cell),)) for n, cell in enumerate(cells)]
    known = Filters(replace(VideoColumns.of(videos), durations=[99.0, 8.0, 7.0, 99.0, None]))
    assert known.fitting("duration < 20").tolist() == [0, 1, 2]
    assert known.fitting("duration > 20").tolist() == [3]
    assert known.fitting("duration <= '0:12' and '7.5' < duration").tolist() == [0, 1]
    assert known.fitting("duration between '00:10' and '01:00:00'").tolist() == [0, 3]
    told = "of 1 video is not known; the column `duration` of the list holds 'long'; expected seconds, such as 12.5"
    for expression in ("duration > 9999", "duration < 'short'", "duration = 'long'"):
        with pytest.raises(DataError, match=told):
            known.fitting(expression)


def test_a_text_is_neither_more_nor_less_than_a_number() -> None:
    cells = ("7", "720", "n/a", "", "1e3")
    videos = [Video(str(n), Path("a.mp4"), extra=(("height", cell),) if cell else ()) for n, cell in enumerate(cells)]
    assert fitting(videos, "height > 8") == fitting(videos, "8 < height") == fitting(videos, "height > '8'") == [1, 4]
    assert fitting(videos, "height not between 5 and 800") == fitting(videos, "not height <= 800") == [4]
    assert fitting(videos, "height >= 'a'") == [2]
    assert fitting(videos, "height != 7") == [1, 2, 4]


def test_only_a_comparison_with_null_is_told_of_null() -> None:
    with pytest.raises(DataError, match=r"fits the filter 'label is null'$"):
        fitting(VIDEOS, "label is null")


def test_brackets_around_a_column_change_nothing() -> None:
    videos = [Video("a", Path("/a")), Video("b", Path("/b"), "run", "train"), Video("c", Path("/c"), "run")]
    assert fitting(videos, "(label) is null") == fitting(videos, "((label) is (null))") == [0]
    assert fitting(videos, "(label = 'run') and ( ( split ) ) is not null") == [1]
    assert fitting(videos, "'run' in (label)") == fitting(videos, "'run' in ((label), split)") == [1, 2]
    assert fitting(videos, "(video_id) > 'b'") == [2]


def test_answers_are_kept_and_are_those_of_the_same_filter() -> None:
    filters = Filters(VideoColumns.of(VIDEOS))
    first = filters.fitting("label = 'surfing'")
    assert filters.fitting("label = 'surfing'") is first
    assert filters.fitting("label = 'archery'").tolist() == [3, 4, 5]
