"""Across: the videos of one split that have a near-copy in another, by their mean rows first, then row by row."""

from collections.abc import Sequence

import numpy as np

from framebank.heads.copies.find import Copy, CopyFinder, surest_first
from framebank.heads.copies.rows import PackedRows, sharpened
from framebank.heads.moments.rows import rows_in_time
from framebank.store.features import FeatureStore
from framebank.store.shard import FRAME_STREAM
from framebank.store.vectors import has_direction, unit

AT_ONCE = 2048  # videos whose rows are in memory at the same time
MOST_PRODUCTS = 200_000_000  # cosines of two videos that `evenly` allows
PRODUCTS_AT_ONCE = 1 << 24  # cosines that are in memory at the same time
CHECKED = 2000  # pairs at most that are compared row by row
MOST_ROWS, FEWEST = 1 << 18, 40  # rows of these pairs in memory: of longer videos fewer pairs, but so many in any case
LEAST_MEAN = 0.8  # the cosine of two mean rows from which on they are
LEAST_ROWS = 4  # of a video that is compared
JUDGES = 60  # videos that say what is usual
SURE = 0.7  # the least score
SHARE = 0.5  # of the first video that a copy covers at least
SAME = 0.97  # the cosine of half of its rows to their nearest row there, as they were embedded, at least


def evenly(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the videos of `first`, or every second or third of them, so that MOST_PRODUCTS cosines do for `second`."""
    return list(first[:: 1 + len(first) * len(second) // MOST_PRODUCTS])


def copies_across(store: FeatureStore, first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str, float]]:
    """Return the videos of `first` with a near-copy of half of them or more in `second`: both ids and the score.

    Only the video of `second` whose mean row is nearest is compared row by row, so excerpts in longer videos are not
    found. Half of the rows must be nearly the same as they were embedded (SAME): two performances of one action are no
    copies. Videos of fewer than LEAST_ROWS rows are left out.
    """
    first, second = ([name for name in names if name in store] for names in (first, second))
    first, second = (_long_enough(store, names) for names in (first, second))
    if not first or not second:
        return []
    pairs = _near_means(_means(store, [*first, *second]), len(first))
    if not len(pairs):
        return []
    rows_of_pairs = store.num_rows_of([first[a] for a, _ in pairs]) + store.num_rows_of([second[b] for _, b in pairs])
    pairs = pairs[: max(FEWEST, int(np.count_nonzero(np.cumsum(rows_of_pairs) <= MOST_ROWS)))]
    names = sorted({*(first[a] for a, _ in pairs), *(second[b] for _, b in pairs)})
    judges = [name for name in second[:: max(1, len(second) // JUDGES)] if name not in set(names)]
    place = {name: number for number, name in enumerate(names)}
    rows = [rows_in_time(store[name]) for name in (*names, *judges)]
    usable = [number for number, (_, times) in enumerate(rows) if len(times) >= LEAST_ROWS]
    new = {old: number for number, old in enumerate(usable)}
    asked = [(new.get(place[first[a]]), new.get(place[second[b]])) for a, b in pairs]
    listed = np.array([(a, b) for a, b in asked if a is not None and b is not None], dtype=np.int64)
    if not len(listed):
        return []
    packs = PackedRows.of([rows[number] for number in usable])
    return _sure(packs, _same(packs, listed), [names[n] for n in usable if n < len(names)])


def _same(packs: PackedRows, pairs: np.ndarray) -> np.ndarray:
    """Return the pairs (N, 2) whose rows are nearly the same before they are sharpened.

    After it, two performances of one action may be as near as a copy where all videos show few things.
    """
    kept = []
    for first, second in pairs.tolist():
        nearest = (unit(packs.one(first)[0]) @ unit(packs.one(second)[0]).T).max(axis=1)
        kept.append(float(np.median(nearest)) >= SAME)
    found: np.ndarray = pairs[np.array(kept, dtype=bool)]
    return found


def _sure(packs: PackedRows, pairs: np.ndarray, names: list[str]) -> list[tuple[str, str, float]]:
    finder = CopyFinder.of(packs, pairs=pairs)
    found = surest_first(copy for a, b in pairs.tolist() for copy in finder.copies(a, b, least=SURE))
    best: dict[int, Copy] = {}
    for copy in found:
        times = packs.one(copy.first)[1]
        length = float(times[-1] - times[0]) + float(packs.steps[copy.first])
        if copy.span[1] - copy.span[0] >= SHARE * length:
            best.setdefault(copy.first, copy)
    return [(names[copy.first], names[copy.second], copy.score) for copy in best.values()]


def _long_enough(store: FeatureStore, names: Sequence[str]) -> list[str]:
    counts = store.num_rows_of(names)
    return [name for name, count in zip(names, counts.tolist(), strict=True) if count >= LEAST_ROWS]


def _means(store: FeatureStore, names: Sequence[str]) -> np.ndarray:
    """Return the mean of the unit rows of each video, (V, D), made unit."""
    found = np.empty((len(names), store.spec.dim), dtype=np.float32)
    for at in range(0, len(names), AT_ONCE):
        data, _, ends = store.read_some(names[at : at + AT_ONCE], FRAME_STREAM)
        rows = unit(np.where(has_direction(data)[:, None], data, 0))
        found[at : at + AT_ONCE] = unit(np.add.reduceat(rows, np.concatenate([[0], ends[:-1]]), axis=0))
    return found


def _near_means(means: np.ndarray, num_first: int) -> np.ndarray:
    """Return the CHECKED nearest pairs (N, 2) of mean rows (V, D): each of the first videos, and one of the others."""
    ends = np.array([num_first, len(means)])
    rows = sharpened(PackedRows(means, np.zeros(len(means)), ends, np.ones(2)))[0].rows
    first, second = rows[:num_first], rows[num_first:]
    nearest = np.empty(len(first), dtype=np.int64)
    cosines = np.empty(len(first), dtype=np.float32)
    step = max(1, PRODUCTS_AT_ONCE // len(second))
    for at in range(0, len(first), step):
        found = first[at : at + step] @ second.T
        nearest[at : at + step] = found.argmax(axis=1)
        cosines[at : at + step] = found.max(axis=1)
    best = np.argsort(-cosines, kind="stable")[:CHECKED]
    best = best[cosines[best] >= LEAST_MEAN]
    return np.stack([best, nearest[best]], axis=1)
