"""Levels: the rows of an index's videos, one for each frame or clip, and what they are searched by."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from framebank.heads.moments.rows import rows_in_time
from framebank.heads.moments.shots import edges_of, find_cuts
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.indexes.index import Index
from framebank.store.indexes.rows import LEVELS, Rows
from framebank.store.indexes.searched import Searched
from framebank.store.indexes.tuning import Target, choose, retune
from framebank.store.shard import Embeddings
from framebank.store.vectors import unit
from framebank.store.videos.video import Video

Part = tuple[np.ndarray, np.ndarray]  # unit vectors (N, D), and their seconds (N, 2)


def searched_of(index: Index, store: FeatureStore, *, level: str, asked: Target) -> Searched:
    """Return what an index is searched by: its rows of a level in a store, and a structure if one was asked for.

    DataError if the level is unknown, or is not "video" where a run pooled the index.
    """
    if level not in LEVELS:
        raise DataError(f"the level of an index is {level!r}; expected one of {', '.join(LEVELS)}")
    if level != "video" and index.made_by.get("run"):
        raise DataError(f"a run pools whole videos, so the level {level!r} cannot be indexed with one; leave one out")
    if level == "video":
        return chosen(None, index.own_vectors, asked)
    row_type = asked.row_type(int(store.num_rows_of(index.own.ids).sum()))
    rows = rows_at(store, index, level, row_type=row_type)
    return chosen(rows, index.own_vectors, asked)


def chosen(rows: Rows | None, vectors: np.ndarray, asked: Target) -> Searched:
    """Return what rows, or the vectors (V, D) of whole videos, are searched by, and what was measured."""
    near, measured = choose(rows.vectors if rows else vectors, asked)
    return Searched(rows, near, asked, measured)


def followed(old: Index, new: Index, store: FeatureStore, reused: Mapping[str, int]) -> Searched:
    """Return what a new index is searched by, as the old one was. `reused` are videos with the same rows in both.

    It maps their video_ids to their numbers in the old index. Only the rows of other videos are read, and a structure
    takes them in. It is made again if many of its entries are gone, or if it no longer reaches the recall.
    """
    before = old.searched
    if before.rows is None:
        rows, added = None, [place for place, name in enumerate(new.own.ids) if name not in reused]
        table = _table(old.num_own, [reused.get(name, -1) for name in new.own.ids])
        fresh = np.array(added, dtype=np.int64)
    else:
        row_type = before.rows.vectors.dtype
        rows = rows_at(store, new, before.level, row_type=row_type, known=before.rows, reused=reused)
        table, fresh = _row_table(before.rows, rows, new, reused)
    vectors = rows.vectors if rows else new.own_vectors
    if before.near is None:
        if before.measured is None:
            return replace(before, rows=rows)
        return chosen(rows, new.own_vectors, before.asked)
    made = before.near.followed(table, vectors, fresh)
    near, measured = choose(vectors, before.asked) if made is None else retune(made, vectors, before.asked)
    return Searched(rows, near, before.asked, measured)


def rows_at(
    store: FeatureStore,
    index: Index,
    level: str,
    *,
    row_type: np.dtype,
    known: Rows | None = None,
    reused: Mapping[str, int] | None = None,
) -> Rows:
    """Return the rows of an index's own videos in a store, kept as float32 or float16.

    Those of `reused` videos are copied from `known`.

    DataError if none can be compared.
    """
    vectors = np.empty((store.num_rows, store.spec.dim), dtype=row_type)  # as much as is needed is filled
    spans = np.empty((store.num_rows, 2))
    ends: list[int] = []
    count = 0
    for own, times in _parts(store, index.own, level, known, reused or {}):
        vectors[count : count + len(own)] = own
        spans[count : count + len(own)] = times
        count += len(own)
        ends.append(count)
    if not count:
        raise DataError(f"{store.path}: none of its rows can be compared; all are zeros or hold what is not a number")
    return Rows(level, vectors[:count], np.array(ends, dtype=np.int64), spans[:count])


def _parts(
    store: FeatureStore, videos: Iterable[Video], level: str, known: Rows | None, reused: Mapping[str, int]
) -> Iterator[Part]:
    for video in videos:
        if known is not None and video.video_id in reused:
            rows = known.rows_of([reused[video.video_id]])
            yield known.vectors[rows], known.spans[rows]
        else:
            yield PARTS[level](store[video.video_id], video)


def _frames(embeddings: Embeddings, video: Video) -> Part:
    """Return a vector for each moment, which lasts until half-way to the next one."""
    rows, times = rows_in_time(embeddings)
    if not len(rows):
        return rows, np.zeros((0, 2))
    edges = edges_of(times, start=video.start or 0.0, end=video.end)
    return rows, np.stack([edges[:-1], edges[1:]], axis=1)


def _clips(embeddings: Embeddings, video: Video) -> Part:
    """Return the mean of each clip of a video, or of each of its shots if the store has one clip of it."""
    if not embeddings.clips.any():
        rows, spans = _frames(embeddings, video)
        firsts = [0, *find_cuts(rows, spans[:, 0]).tolist(), len(rows)] if len(rows) else [0]
        return _means([(rows[a:b], spans[a:b]) for a, b in pairwise(firsts)], rows.shape[1])
    parts = []
    for clip in np.unique(embeddings.clips):
        inside = embeddings.clips == clip
        own = Embeddings(embeddings.data[inside], embeddings.timestamps[inside], embeddings.indices[inside])
        parts.append(_frames(own, replace(video, start=None, end=None)))
    return _means(parts, embeddings.data.shape[1])


def _means(parts: list[Part], width: int) -> Part:
    there = [(rows, spans) for rows, spans in parts if len(rows) and rows.mean(axis=0).any()]
    means = [unit(rows.mean(axis=0)) for rows, _ in there]
    times = [(spans[0, 0], spans[-1, 1]) for _, spans in there]
    return np.array(means, dtype=np.float32).reshape(-1, width), np.array(times).reshape(-1, 2)


def _table(num_old: int, old_of: list[int]) -> np.ndarray:
    """Return the new place of each old one, (N,) int64, -1 if it is gone, from the old place of each new one."""
    table = np.full(num_old, -1, dtype=np.int64)
    places = np.array(old_of, dtype=np.int64)
    table[places[places >= 0]] = np.flatnonzero(places >= 0)
    return table


def _row_table(old: Rows, rows: Rows, new: Index, reused: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the new row of each old one, -1 if it is gone, and the rows that are new."""
    kept = [place for place, name in enumerate(new.own.ids) if name in reused]
    table = np.full(len(old), -1, dtype=np.int64)
    table[old.rows_of([reused[new.own.ids[place]] for place in kept])] = rows.rows_of(kept)
    fresh = np.ones(len(rows), dtype=bool)
    fresh[rows.rows_of(kept)] = False
    return table, np.flatnonzero(fresh)


PARTS = {"frame": _frames, "clip": _clips}
