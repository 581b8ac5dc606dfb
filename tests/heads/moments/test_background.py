"""The background: what is near by chance, and what is not."""

import numpy as np
import pytest

from framebank.heads.moments.background import Background, num_nearest, some_of
from framebank.heads.moments.everyday import NAMES
from framebank.store.vectors import unit


def world(seed: int = 0, *, dim: int = 256) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Rows of 40 things, and names of 60, 20 of which no row shows; all rows have a part in common, and all names."""
    rng = np.random.default_rng(seed)
    things = unit(rng.normal(size=(60, dim)))
    common = unit(rng.normal(size=(2, dim)))
    rows = unit(np.repeat(things[:40], 10, axis=0) + 2 * common[0] + 0.8 * unit(rng.normal(size=(400, dim))))
    return rows, unit(things + common[1]), rng


def test_what_the_rows_show_is_found_and_other_things_are_not() -> None:
    found: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(10):
        rows, names, rng = world(seed)
        order = rng.permutation(60)
        asked, others = order[:20], order[20:]
        background = Background(rows, names[others])
        count = num_nearest(len(rows))
        for one in asked:
            nearest = rows[np.argsort(rows @ names[one])[-count:]]
            found[bool(one < 40)].append(background.finds(names[one], nearest))
    assert np.mean(found[True]) > 0.95 and np.mean(found[False]) < 0.05


def test_levels_are_on_the_scale_that_is_promised() -> None:
    rows, names, _ = world()
    background = Background(rows, names)
    low, high = background.usual
    cosines = rows @ names.T
    assert low == pytest.approx(np.median(cosines)) and high == pytest.approx(np.median(cosines.max(1)))
    assert background.level(np.array([low])) == pytest.approx(0) and background.level(
        np.array([high])
    ) == pytest.approx(1)


def test_a_text_may_be_behind_the_best_names_by_a_share_of_its_level() -> None:
    """Two rows and eight names in a plane: all cosines are those of angles."""
    angles = np.radians([0.0, 60, 90, 90, 90, 90, 90, 90])
    names = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    background = Background(np.array([[1.0, 0.0], [1.0, 0.0]]), names)
    assert background.usual == pytest.approx((0.0, 1.0))  # most names are at a right angle, and one fits entirely
    for degrees, is_found in ((0, True), (39, True), (40, False), (60, False)):
        query = np.array([np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))])
        cosine = float(np.cos(np.radians(degrees)))
        assert background.level(background.rows @ query) == pytest.approx(cosine)
        assert background.behind(query, background.rows) == pytest.approx(1 - cosine)
        assert background.finds(query, background.rows) is is_found  # 1 - cosine <= 0.3 cosine: up to 39.7 degrees


def test_a_chance_is_the_share_of_names_that_fit_as_well() -> None:
    rows, names, _ = world()
    background = Background(rows, names)
    fits = np.sort(rows[0] @ names.T)
    assert background.chance(rows[:1], float(fits[-1]) + 1e-4) == pytest.approx(1 / 61)
    assert background.chance(rows[:1], float(fits[30])) == pytest.approx((1 + 30) / 61)
    assert background.chance(rows[:1], -1.0) == 1.0


def test_rows_are_not_held_against_themselves() -> None:
    rows, _, rng = world()
    background = Background(rows, rows, is_own=True, of=tuple(map(str, range(len(rows)))))
    assert background.usual[1] < 0.999
    others = rows @ rows[0]
    second, own = float(np.sort(others)[-2]), {"0"}
    assert background.chance(rows[:1], second - 1e-5, without=own) == pytest.approx(2 / len(rows))
    own.add(str(int(np.argsort(others)[-2])))
    assert background.chance(rows[:1], second - 1e-5, without=own) == pytest.approx(1 / (len(rows) - 1))
    nearest = np.argsort(rows @ rows.T, axis=1)[:, -2]
    found = np.mean([background.finds(row, rows[[one]]) for row, one in zip(rows, nearest, strict=True)])
    assert found >= 0.95
    odd = unit(rng.normal(size=256))
    assert not background.finds(odd, rows[[int((rows @ odd).argmax())]])


def test_with_too_little_to_go_by_everything_is_found() -> None:
    rows, names, _ = world()
    assert Background(rows, names[:3]).finds(-rows[0], rows[:1])
    assert num_nearest(1) == num_nearest(4) == 1 and num_nearest(900) == 10
    assert some_of(rows, 100).shape == (100, 256) and some_of(rows, 1000) is rows


def test_the_names_are_each_there_once() -> None:
    assert len(NAMES) == len(set(NAMES)) > 300
    assert all(name == " ".join(name.split()) and name for name in NAMES)
