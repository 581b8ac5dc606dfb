"""Copies: a stretch is found where it is, at its speed, and videos of different recordings are no copies."""

import numpy as np
import pytest

from framebank.heads.copies import candidates
from framebank.heads.copies.find import Copy, CopyFinder, surest_first
from framebank.heads.copies.lines import Beside, best_line, lines_of
from framebank.heads.copies.rows import PackedRows, sharpened
from framebank.tests.worlds.copies import DIM, sampled

ORIGINALS = [sampled([(number, 0.0, 10.0)]) for number in range(20)]


def found(videos: list[tuple[np.ndarray, np.ndarray]], *, split_at: int = 0, least: float = 0.5) -> list[Copy]:
    finder = CopyFinder.of(PackedRows.of(videos), split_at=split_at)
    return surest_first(
        copy for first, second in finder.pairs.tolist() for copy in finder.copies(first, second, least=least)
    )


@pytest.mark.parametrize("speed", [0.9, 0.95, 1.0, 1.05, 1.1])
@pytest.mark.parametrize("fps", [4.0, 3.0])
def test_a_whole_copy_is_found_at_any_speed(speed: float, fps: float) -> None:
    (copy,) = found([*ORIGINALS, sampled([(3, 0.0, 10.0)], speed=speed, fps=fps, noise=0.3, seed=9)])
    assert (copy.first, copy.second) == (3, 20) and copy.score > 0.7
    assert copy.span == pytest.approx((0.0, 10.0), abs=0.6)
    assert copy.other_span == pytest.approx((0.0, 10.0 / speed), abs=0.6)


@pytest.mark.parametrize("seconds", [1.0, 2.5, 10.0])
def test_the_same_rows_are_one_whole_pair_with_the_highest_score(seconds: float) -> None:
    """As of one file in two stores, in a collection that is there twice: every row has a rival that is the same."""
    videos = [sampled([(number, 0.0, seconds)]) for number in range(12)]
    copies = found([*videos, *videos], split_at=12)
    whole = [copy for copy in copies if copy.second == copy.first + 12]
    assert len(whole) == 12 and copies[:12] == whole
    for copy in whole:
        assert copy.span == copy.other_span == pytest.approx((0.0, seconds), abs=1e-6) and copy.score > 0.999


def test_a_video_in_which_nothing_moves_is_a_whole_copy_of_itself() -> None:
    rows, times = ORIGINALS[3]
    still = (np.repeat(rows[:1], len(rows), axis=0), times)
    (copy,) = [copy for copy in found([*ORIGINALS, still, still], split_at=21) if copy.first == 20]
    assert copy.span == copy.other_span == (0.0, 10.0) and copy.score > 0.999


def test_an_excerpt_in_a_film_is_found_where_it_is() -> None:
    film = sampled([(30, 0.0, 6.0), (5, 4.0, 7.0), (31, 0.0, 5.0), (8, 1.0, 4.0)], noise=0.2, seed=9)
    copies = found([*ORIGINALS, film], split_at=20)
    assert {(copy.first, copy.second) for copy in copies} == {(5, 20), (8, 20)} and len(copies) == 2
    spans = {copy.first: (copy.span, copy.other_span) for copy in copies}
    for number, start, begins in ((5, 4.0, 6.0), (8, 1.0, 14.0)):
        assert spans[number][0] == pytest.approx((start, start + 3.0), abs=0.3)
        assert spans[number][1] == pytest.approx((begins, begins + 3.0), abs=0.5)


def test_a_clip_that_a_film_shows_twice_is_two_pairs() -> None:
    film = sampled([(5, 2.0, 6.0), (31, 0.0, 5.0), (5, 2.0, 6.0)], noise=0.02, seed=9)
    copies = found([*ORIGINALS, film], split_at=20)
    assert sorted(round(copy.other_span[0]) for copy in copies) == [0, 9]


def test_a_clip_that_a_film_shows_eight_times_is_eight_pairs() -> None:
    shown = [(5, 2.0 + 0.03 * turn, 6.0) for turn in range(8)]  # its rows stand elsewhere in the clip each time
    film = sampled([part for one in shown for part in (one, (31, 0.0, 3.1))], noise=0.15, seed=9)
    copies = [copy for copy in found([*ORIGINALS, film], split_at=20) if copy.first == 5]
    assert len(copies) == 8 and all(copy.span == pytest.approx((2.0, 6.0), abs=0.6) for copy in copies)


def test_recordings_of_their_own_are_no_copies() -> None:
    assert found(ORIGINALS) == []
    assert found(ORIGINALS[:2]) == [] and found(ORIGINALS[:1]) == []


def test_only_pairs_across_the_split_count() -> None:
    twice = sampled([(3, 0.0, 10.0)], seed=9)
    assert found([*ORIGINALS, twice], split_at=20) and not found([twice, *ORIGINALS], split_at=20)


def test_many_rows_in_cells_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [*ORIGINALS, sampled([(3, 0.0, 10.0)], speed=1.1, noise=0.2, seed=9)]
    whole = found(videos)
    monkeypatch.setattr(candidates, "WHOLE", 100)
    monkeypatch.setattr(candidates, "CELL", 60)
    assert found(videos) == whole


def test_videos_of_one_row_can_be_compared() -> None:
    rng = np.random.default_rng(0)
    single = [(row[None], np.array([1.0])) for row in rng.normal(size=(30, DIM)).astype(np.float32)]
    copy = found([*single, single[4]])[0]
    assert (copy.first, copy.second) == (4, 30) and copy.span == copy.other_span == (0.0, 2.0)


def test_rows_that_are_all_the_same_are_left_as_they_are() -> None:
    pack = PackedRows.of([(np.ones((3, 4), np.float32) / 2, np.arange(3.0))])
    assert sharpened(pack)[0].rows.tolist() == pack.rows.tolist()


def test_a_line_by_hand() -> None:
    """Rows 1 to 3 of the first video are rows 0 to 2 of the second."""
    says = np.full((5, 3), -1.0)
    says[[1, 2, 3], [0, 1, 2]] = [0.5, 1.0, 0.75]
    beside = Beside(says, np.arange(5.0), np.arange(3.0), step=0.5)
    line = best_line(beside)
    assert line and (line.first, line.last, line.speed, line.offset, line.support) == (1, 3, 1.0, -1.0, 2.25)
    assert beside.most_support == 2.25
    assert list(lines_of(beside, least=2.25)) == [line] and not list(lines_of(beside, least=2.5))
    assert best_line(Beside(-np.ones((2, 2)), np.arange(2.0), np.arange(2.0), step=1.0)) is None
    with pytest.raises(ValueError, match="times"):
        Beside(says, np.arange(4.0), np.arange(3.0), step=0.5)
