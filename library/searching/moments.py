"""Moments: the stretches of an index's videos that fit a query, from the rows of its store."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.hits import Hits
from framebank.library.searching.asked import SearchQuery
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from framebank.heads.moments.background import Background
    from framebank.heads.moments.stretches import CosineTrack
    from framebank.store import FeatureStore, Span, Video
    from framebank.store.indexes.index import Hit, Index

BLOCK_ROWS = 1 << 18  # rows that are compared at once
LEAST_VIDEOS = 50  # videos with the best rows whose stretches are searched
OF_A_VIDEO = 3  # moments at most; more only where the videos have too few
USUAL_VIDEOS = 128  # videos whose rows show what is usual


def store_of(index: "Index", store: "FeatureStore | str | Path | None") -> "FeatureStore":
    """Return the store with the rows of an index's videos. DataError if it is not found, or has another encoder."""
    from framebank.library.stores import open_store
    from framebank.store import FeatureStore

    if store is None:
        place = index.origin.store if index.origin else index.made_by.get("store", "")
        if not place:
            told = "moments are read from a store, and the index knows none, as after index-merge"
            raise DataError(f"{told}; name it (--store)")
        try:
            found = FeatureStore(place)
        except DataError as error:
            raise DataError(
                f"moments are read from the store of the index ({error}); say where it is now (--store)"
            ) from error
    else:
        found = open_store(store)
    found.spec.require_same_encoder(index.spec, mine=found.path, theirs="the index")
    return found


def rows_of_id(
    index: "Index",
    video_id: str,
    store: "FeatureStore | str | Path | None",
    *,
    within: tuple[float, float] | None = None,
) -> "np.ndarray":
    """Return the mean (D,) of the unit rows of a video in the store, or of its rows within some seconds.

    If no row is within them, the nearest row is used. DataError if the store has no rows of the video, or if the
    seconds lie outside it.
    """
    import numpy as np

    from framebank.heads.moments.rows import rows_in_time
    from framebank.heads.moments.shots import edges_of

    found = store_of(index, store)
    rows, times = rows_in_time(found[video_id]) if video_id in found else (np.zeros((0, 0)), np.zeros(0))
    if not len(rows):
        raise DataError(f"{found.path}: has no rows of {video_id!r} to compare; expected a video of the store")
    if within is not None:
        start, end = within
        edges = edges_of(times)
        if not 0 <= start < end or start >= edges[-1] or end <= edges[0]:
            raise DataError(
                f"the moment from {start:g} to {end:g} s is none of {video_id!r}, whose rows stand from {edges[0]:.2f} "
                f"to {edges[-1]:.2f} s"
            )
        inside = (times >= start) & (times < end)
        rows = rows[inside] if inside.any() else rows[[nearest_row(times, start, end)]]
    mean: np.ndarray = rows.mean(axis=0)
    return mean


def rows_are_near(
    store: "FeatureStore", video_ids: list[str], vector: "np.ndarray", names: "np.ndarray", *, others: list[str]
) -> bool:
    """Return whether the best rows of some videos are near enough to a text's vector (D,), judged by names (N, D).

    The rows of `others`, videos of the same store, show what is usual.
    """
    import numpy as np

    from framebank.heads.moments.background import Background, num_nearest
    from framebank.store.vectors import unit

    usual, _ = _usual_rows(store, [video_id for video_id in others if video_id in store])
    rows = np.concatenate([rows for _, rows, _ in _blocks(store, video_ids)])
    if not len(usual) or not len(rows):
        return False
    query = unit(vector)
    return Background(usual, names).finds(query, nearest_of(rows, rows @ query, num_nearest(store.num_rows)))


def _usual_rows(store: "FeatureStore", video_ids: list[str]) -> "tuple[np.ndarray, dict[str, np.ndarray]]":
    """Return unit rows (R, D), about BLOCK_ROWS at most, of some videos that are evenly taken, and the mean of each."""
    import numpy as np

    most = max(1, min(USUAL_VIDEOS, BLOCK_ROWS * len(store) // max(store.num_rows, 1)))
    blocks: list[np.ndarray] = []
    means: dict[str, np.ndarray] = {}
    for ids, rows, ends in _blocks(store, video_ids[:: max(1, len(video_ids) // most)]):
        blocks.append(rows)
        parts = zip(ids, np.split(rows, ends[:-1]), strict=True)
        means |= {video_id: part.mean(axis=0) for video_id, part in parts if len(part)}
    return np.concatenate(blocks), means


def nearest_of(rows: "np.ndarray", cosines: "np.ndarray", count: int) -> "np.ndarray":
    """Return the `count` rows (K, D) with the highest cosines (R,), or all if there are fewer."""
    import numpy as np

    if count >= len(rows):
        return rows
    return rows[np.argpartition(cosines, len(cosines) - count)[-count:]]


def find_moments(
    index: "Index",
    store: "FeatureStore",
    asked: SearchQuery,
    *,
    k: int,
    keep_all: bool = True,
    least: float | None = None,
) -> Hits:
    """Find the `k` best moments of a query in the videos of an index, from the rows of its store.

    Every row of every video is compared. Stretches are searched in the videos with the best rows: up to OF_A_VIDEO in
    each, at least `least` seconds long, and more if all of these are fewer than `k`. The score is the mean cosine of a
    stretch's best rows; for a query of pictures, without what all rows share (`cosines_of`). Only a text is judged.
    DataError if the store has none of the videos, if nothing but the query is left to search, or if the query has no
    direction.
    """
    import numpy as np

    from framebank.heads.moments.background import Background
    from framebank.heads.moments.cosines import apart
    from framebank.heads.moments.stretches import LEAST_SECONDS, track_of
    from framebank.store.vectors import has_direction, unit

    if asked.vector.shape != (store.spec.dim,) or not has_direction(asked.vector):
        raise DataError(f"the embedding of {asked.told!r} is all zeros, or holds values that are not numbers")
    query = unit(asked.vector)
    every = [video_id for video_id in index.own.ids if video_id in store]
    there = [video_id for video_id in every if asked.leaves_out.get(video_id) != ()]
    if every and not there:
        raise DataError(f"the index has no video but {asked.told!r} to look at; expected seconds of it, or more videos")
    if not there:
        raise DataError(
            f"{store.path}: holds no video of the {counted(index.num_own, 'video')} of the index to look at; expected "
            "the store that the index was made from"
        )
    some, means = _usual_rows(store, there) if asked.by_own else (None, {})
    mean_row = None if some is None else some.sum(axis=0) / max(1, len(some))
    cosines, sample, near, peaks = _scan(store, there, query, mean_row)
    background = Background(sample, query[None][:0] if asked.names is None else asked.names)
    others = Background.of_videos(means, mean_row) if means else background
    found = asked.known and background.finds(query, near)
    if not found and not keep_all:
        return Hits(asked.told, (), found=False)
    nearest = sorted(peaks, key=lambda video_id: -peaks[video_id])[: max(LEAST_VIDEOS, 4 * k)]
    seconds = LEAST_SECONDS if least is None else least
    track = functools.partial(track_of, query=query, usual=float(np.median(cosines)), mean_row=mean_row)

    def of_each(most: int) -> "list[tuple[bool, Span, np.ndarray]]":
        each = (
            _stretches(store, index.video(name), track, seconds, asked.leaves_out.get(name, ()), most)
            for name in nearest
        )
        return [(number >= OF_A_VIDEO, *pair) for own in each for number, pair in enumerate(own)]

    moments = of_each(OF_A_VIDEO)
    if len(moments) < k > OF_A_VIDEO:
        moments = of_each(k)
    if not moments:
        raise DataError(f"the index shows nothing but {asked.told!r} itself; expected fewer seconds, or more videos")
    chosen = sorted(moments, key=lambda one: (one[0], -(one[1].score or 0.0)))[:k]
    best = sorted(((span, rows) for _, span, rows in chosen), key=lambda pair: -(pair[0].score or 0.0))
    chances = (_chance(others, span, apart(rows, mean_row), without=asked.leaves_out) for span, rows in best)
    hits = tuple(_hit(index.video(span.video_id), span, one) for (span, _), one in zip(best, chances, strict=True))
    return Hits(asked.told, hits, found=found, by_videos=asked.by_own)


def _scan(
    store: "FeatureStore", video_ids: list[str], query: "np.ndarray", mean_row: "np.ndarray | None"
) -> "tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, float]]":
    """Return the cosines (R,) of all rows, some of the rows (S, D), the nearest ones, and each video's best score."""
    import numpy as np

    from framebank.heads.moments.background import MOST_ROWS, num_nearest
    from framebank.heads.moments.cosines import cosines_of

    cosines: list[np.ndarray] = []
    sample: list[np.ndarray] = []
    near = np.zeros((0, len(query)), dtype=np.float32)
    most = num_nearest(store.num_rows)
    peaks: dict[str, float] = {}
    every = max(1, store.num_rows // MOST_ROWS)
    for ids, rows, ends in _blocks(store, video_ids):
        found = cosines_of(rows, query, mean_row)
        cosines.append(found)
        sample.append(rows[::every].copy())
        best = np.concatenate([near, nearest_of(rows, found, most)])
        near = nearest_of(best, best @ query, most)
        parts = np.split(found, ends[:-1])
        peaks |= {name: float(np.sort(part)[-3:].mean()) for name, part in zip(ids, parts, strict=True) if len(part)}
    if not peaks:
        raise DataError(f"{store.path}: all rows of the videos of the index are zeros, or hold what is not a number")
    every_cosine = np.concatenate(cosines)
    near = nearest_of(near, near @ query, num_nearest(len(every_cosine)))
    return every_cosine, np.concatenate(sample), near, peaks


def _blocks(store: "FeatureStore", video_ids: list[str]) -> "Iterator[tuple[list[str], np.ndarray, np.ndarray]]":
    """Yield the videos, some at a time, with their unit rows (R, D) and the end row of each.

    Rows that cannot be compared are left out.
    """
    import numpy as np

    from framebank.store.shard import FRAME_STREAM
    from framebank.store.vectors import has_direction, unit

    each = max(1, BLOCK_ROWS * len(store) // max(store.num_rows, 1))
    for first in range(0, len(video_ids), each):
        ids = video_ids[first : first + each]
        data, _, ends = store.read_some(ids, FRAME_STREAM)
        good = has_direction(data)
        yield ids, unit(data[good]), np.concatenate([[0], np.cumsum(good)])[ends]


def _stretches(
    store: "FeatureStore",
    video: "Video",
    track_of: "Callable[..., CosineTrack]",
    least_seconds: float,
    without: Sequence[tuple[float, float]],
    most: int,
) -> "list[tuple[Span, np.ndarray]]":
    """Return the `most` best stretches of a video, best first, with their unit rows, in no seconds of `without`."""
    from framebank.heads.moments.rows import rows_in_time
    from framebank.heads.moments.stretches import best_stretches

    every, every_time = rows_in_time(store[video.video_id])
    found = []
    for first, last, start, end in _parts(every_time, video.start or 0.0, video.end, without):
        rows, times = every[first:last], every_time[first:last]
        track = track_of(video.video_id, rows, times, start=start, end=end)
        found += [
            (span, rows[track.rows_of(span)]) for span in best_stretches(track, most=most, least_seconds=least_seconds)
        ]
    return sorted(found, key=lambda pair: -(pair[0].score or 0.0))[:most]


def _parts(
    times: "np.ndarray", start: float, end: float | None, without: Sequence[tuple[float, float]]
) -> Iterator[tuple[int, int, float, float | None]]:
    """Yield the first and the end row of each part of a video that is searched, and its start and end in seconds."""
    first = 0
    for begins, ends in sorted(without):
        last, after = (int(place) for place in times.searchsorted((begins, ends)))
        if last == after:  # no row is within: the nearest one was asked for
            last = nearest_row(times, begins, ends)
            after = last + 1
        if first < last:
            yield first, last, start, begins
        first, start = max(first, after), max(start, ends)
    if first < len(times):
        yield first, len(times), start, end


def nearest_row(times: "np.ndarray", start: float, end: float) -> int:
    """Return the row whose time (T,) is nearest to the middle of some seconds."""
    return int(abs(times - (start + end) / 2).argmin())


def _chance(background: "Background", span: "Span", rows: "np.ndarray", *, without: "Iterable[str]") -> float | None:
    if not background.is_enough:
        return None
    return background.chance(rows, span.score or 0.0, without={span.video_id, *without})


def _hit(video: "Video", span: "Span", chance: float | None) -> "Hit":
    from framebank.store.indexes.index import Hit

    place = (span.start, span.end)
    return Hit(video.video_id, span.score or 0.0, video.label, *place, path=video.path, chance=chance)
