"""Stretches: the best run of rows is the one that a search of all runs finds, and the part that was asked for."""

from itertools import combinations

import numpy as np
import pytest

from framebank.heads.moments import stretches
from framebank.heads.moments.stretches import CosineTrack, best_stretches, track_of
from framebank.store.spans.span import Span
from framebank.tests.worlds.moments import direction, video


@pytest.mark.parametrize("seed", range(30))
def test_the_largest_run_is_that_of_all_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gains, costs = rng.normal(size=24), rng.uniform(0, 1, 25)
    if seed % 2:
        gains[rng.integers(24, size=3)] = -np.inf
    first, last, gain = stretches._largest(gains, costs)
    every = {(a, b): gains[a:b].sum() - costs[a] - costs[b] for a, b in combinations(range(25), 2)}
    assert gain == pytest.approx(max(every.values()))
    assert every[first, last] == pytest.approx(gain)


@pytest.mark.parametrize("seconds", [2.0, 4.0, 9.0, 20.0])
@pytest.mark.parametrize("stage", [0.0, 1.0])
def test_the_part_that_is_asked_for_is_found_however_long(seconds: float, stage: float) -> None:
    for seed in range(5):
        shown = video([(1, 7.0), (2, seconds), (3, 11.0), (4, 30.0)], asked=2, stage=stage, seed=seed)
        (found,) = best_stretches(track_of("v", shown.rows, shown.times, direction(2)))
        assert found.iou(Span("v", shown.start, shown.end)) > 0.8
        inside = (shown.times > shown.start) & (shown.times < shown.end)
        best = np.sort(shown.rows[inside] @ direction(2))[-max(1, round(0.4 * inside.sum())) :]
        assert found.score == pytest.approx(float(best.mean()), abs=0.1)


def test_two_parts_are_two_moments_that_do_not_overlap() -> None:
    shown = video([(1, 9.0), (2, 4.0), (3, 9.0), (2, 6.0), (1, 9.0)], asked=2)
    found = best_stretches(track_of("v", shown.rows, shown.times, direction(2)), most=2)
    assert found[0].overlap(found[1]) == 0
    truth = [Span("v", 9.0, 13.0), Span("v", 22.0, 28.0)]
    assert all(max(one.iou(span) for span in found) > 0.8 for one in truth)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_shot_that_shows_it_half_of_the_time_beats_one_that_is_like_it_all_the_time() -> None:
    """A description may tell of one pose within an action: then some rows of the right shot fit, and others do not."""
    cosines = np.concatenate([np.full(30, 0.1), np.full(20, 0.3), np.full(30, 0.1), np.tile([0.1, 0.45], 10)])
    times, edges = np.arange(100) / 4, np.arange(101) / 4
    track = CosineTrack("v", cosines, times, np.array([30, 50, 80]), edges)
    (found,) = best_stretches(track)
    assert (found.start, found.end) == (20.0, 25.0)
    assert found.score == pytest.approx(0.45)  # the mean of its best rows, 8 of 20


def test_a_moment_has_the_least_length_and_stays_within_the_video() -> None:
    shown = video([(1, 6.0), (2, 0.5)], asked=2, noise=0.1)
    (found,) = best_stretches(track_of("v", shown.rows, shown.times, direction(2)), least_seconds=2.0)
    assert (found.start, found.end) == (4.5, 6.5)
    one = track_of("v", shown.rows[:1], shown.times[:1], direction(2))
    assert best_stretches(one, most=3)[0].seconds <= 1.0


def test_an_offset_of_all_cosines_changes_nothing() -> None:
    shown = video([(1, 7.0), (2, 5.0), (3, 8.0)], asked=2)
    track = track_of("v", shown.rows, shown.times, direction(2))
    shifted = stretches.CosineTrack("v", 0.2 + 0.1 * track.cosines, track.times, track.cuts, track.edges)
    assert [(a.start, a.end) for a in best_stretches(track)] == [(a.start, a.end) for a in best_stretches(shifted)]


def test_an_hour_is_a_matter_of_rows_and_not_of_their_square() -> None:
    shown = video([(1, 1800.0), (2, 12.0), (3, 1788.0)], asked=2, fps=2, stage=0.0)
    (found,) = best_stretches(track_of("v", shown.rows, shown.times, direction(2)))
    assert found.iou(Span("v", 1800.0, 1812.0)) > 0.7
