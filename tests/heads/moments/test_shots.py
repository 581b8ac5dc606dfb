"""Shots: cuts are where the stage changes, and a video of one stage has none."""

import numpy as np
import pytest

from framebank.heads.moments import shots
from framebank.heads.moments.shots import edges_of, find_cuts, shots_of, step_of
from framebank.store.vectors import unit
from framebank.tests.worlds.moments import video

PARTS = [(1, 4.0), (2, 6.0), (1, 3.0), (5, 8.0)]


@pytest.mark.parametrize("fps", [2.0, 4.0, 8.0])
def test_cuts_are_where_one_part_follows_another(fps: float) -> None:
    shown = video(PARTS, asked=2, fps=fps, noise=0.3)
    assert shown.times[find_cuts(shown.rows, shown.times)].tolist() == pytest.approx(
        [4 + 0.5 / fps, 10 + 0.5 / fps, 13 + 0.5 / fps]
    )


@pytest.mark.parametrize(("count", "width"), [(2, 2), (7, 3), (600, 5), (1500, 38), (60, 60)])
def test_a_fall_is_one_less_the_cosine_of_the_rows_before_and_after(count: int, width: int) -> None:
    rows = unit(np.random.default_rng(count).normal(size=(count, 8)))
    sums = [(rows[max(0, at - width) : at].sum(0), rows[at : at + width].sum(0)) for at in range(1, count)]
    expected = [1 - float(unit(before) @ unit(after)) for before, after in sums]
    falls, spreads = shots._falls(rows, width)
    np.testing.assert_allclose(falls, expected, atol=1e-5)
    sides = [(rows[max(0, at - width) : at], rows[at : at + width]) for at in range(1, count)]
    each = [np.concatenate([side - side.mean(0) for side in pair]) for pair in sides]
    np.testing.assert_allclose(spreads, [max((own**2).sum(1).mean(), shots.TINY) for own in each], atol=1e-5)


@pytest.mark.parametrize(("count", "width"), [(2, 2), (9, 3), (200, 6)])
def test_a_jump_is_a_step_over_the_mean_of_the_others_near_it(count: int, width: int) -> None:
    rows = unit(np.random.default_rng(count).normal(size=(count, 8)))
    steps = 1 - (rows[1:] * rows[:-1]).sum(1)
    others = [[*steps[max(0, at - width) : at], *steps[at + 1 : at + width + 1]] for at in range(count - 1)]
    expected = [step * len(own) / max(sum(own), shots.TINY) for step, own in zip(steps, others, strict=True)]
    np.testing.assert_allclose(shots._jumps(rows, width), expected, rtol=1e-4)


def test_a_cut_between_scenes_of_one_kind_is_found_beside_cuts_that_fall_further() -> None:
    rng = np.random.default_rng(0)
    kinds = np.eye(3, 40)[[0, 0, 1, 2]]  # the first two scenes are of one kind
    scenes = unit(kinds + 0.04 * rng.normal(size=(4, 40)))
    rows = unit(np.repeat(scenes, 20, axis=0) + 0.005 * rng.normal(size=(80, 40)))
    assert find_cuts(rows, (np.arange(80) + 0.5) / 4).tolist() == [20, 40, 60]


def test_a_single_odd_row_at_an_end_is_no_shot() -> None:
    shown = video([(1, 20.0)], asked=1, noise=0.3)
    for at in (0, -1):
        rows = shown.rows.copy()
        rows[at] = -rows[at]
        assert len(find_cuts(rows, shown.times)) == 0


def test_one_shot_has_no_cut() -> None:
    shown = video([(1, 60.0)], asked=1, noise=0.3)
    assert len(find_cuts(shown.rows, shown.times)) == 0
    (shot,) = shots_of("v", shown.rows, shown.times)
    assert (shot.start, shot.end, shot.source) == (0.0, 60.0, "shots")


def test_shots_follow_one_another_without_a_gap() -> None:
    shown = video(PARTS, asked=2, noise=0.3)
    found = shots_of("v", shown.rows, shown.times, end=20.9)
    assert [(shot.start, shot.end) for shot in found] == [(0.0, 4.0), (4.0, 10.0), (10.0, 13.0), (13.0, 20.9)]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_video_of_few_rows_is_one_shot(rows: int) -> None:
    shown = video(PARTS, asked=2)
    assert len(shots_of("v", shown.rows[:rows], shown.times[:rows])) == 1


def test_edges_lie_between_the_rows() -> None:
    assert edges_of(np.array([0.0, 1.0, 3.0])).tolist() == [0.0, 0.5, 2.0, 3.75]
    assert edges_of(np.array([10.0, 11.0]), start=9.0).tolist() == [9.0, 10.5, 11.5]
    assert edges_of(np.array([2.0]), start=1.5, end=2.2).tolist() == [1.5, 2.2]
    assert step_of(np.array([5.0])) == 1.0
