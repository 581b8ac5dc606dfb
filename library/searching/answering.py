"""Answering: the videos or moments that are nearest to a query, or that nothing in an index is near enough."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import require_least
from framebank.library.hits import Hits
from framebank.library.searching.asked import SearchQuery
from framebank.library.searching.moments import find_moments, rows_are_near, store_of
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.moments.background import Background
    from framebank.store import FeatureStore
    from framebank.store.indexes.index import Hit, Index

JUDGED = 10  # the least number of nearest videos whose rows judge a text
WHOLE_FROM = 0.45  # the level of whole videos that counts as found, if their rows are not available
MOST_OWN = 1024  # the index's own videos that judge a video


def answer(
    index: "Index",
    asked: SearchQuery,
    *,
    k: int = 10,
    moments: bool = False,
    keep_all: bool = True,
    store: "FeatureStore | str | Path | None" = None,
    where: str | None = None,
) -> Hits:
    """Return the k videos or moments of an index that are nearest to a query, or none if none is near enough.

    With `keep_all` they are returned in any case. With the filter `where`, only videos that match it are returned.
    DataError if the query alone matches it, or if a given `store` is not one of the index's encoder.
    """
    require_least("k", k, 1)
    store = None if store is None else store_of(index, store)
    if where is not None:
        _require_others(index, asked, where)
    if moments:
        index = index if where is None else index.fitting(where)
        return find_moments(index, store_of(index, store), asked, k=k, keep_all=keep_all)

    import numpy as np

    from framebank.heads.moments.background import num_nearest
    from framebank.store.vectors import unit

    among, background = None, _background(index, asked)
    if where is not None:
        among = np.zeros(index.num_own, dtype=bool)
        among[index.rows_fitting(where)] = True
    rows, num_judging = index.searched.rows, 1
    if asked.names is not None:
        num_judging = num_nearest(len(index.searched_vectors) if among is None or rows else int(among.sum()))
    wanted = max(k, JUDGED if rows else num_judging, JUDGED) + len(asked.leaves_out)
    nearest = index.search(asked.vector[None], wanted, among=among)[0]
    hits = [hit for hit in nearest if hit.video_id not in asked.leaves_out]
    found = asked.known and bool(hits)
    if found and background is not None:
        query = unit(asked.vector)
        if rows:
            found_rows = index.search_rows(query[None], num_judging, among=among)[1]
            near = index.searched_vectors[found_rows].astype(np.float32, copy=False)
        else:
            near = np.stack([index.vector_of(hit) for hit in hits[:num_judging]])
        found = background.finds(query, near)
        if not found and asked.names is not None and not (rows and rows.level == "frame"):
            found = _rows_are_near(index, asked, hits, store, otherwise=background.level(near @ query) >= WHOLE_FROM)
    best = hits[:k] if found or keep_all else []
    others = background or _other_videos(index, asked)
    return Hits(asked.told, tuple(_with_chances(index, best, others, asked)), found=found, by_videos=asked.by_own)


def _require_others(index: "Index", asked: SearchQuery, where: str) -> None:
    """Refuse a filter that only the query itself matches, which is never a hit."""
    rows = index.rows_fitting(where)
    out = {video_id for video_id, seconds in asked.leaves_out.items() if not seconds}
    if len(rows) <= len(out) and out.issuperset(index.own.ids[row] for row in rows):
        raise DataError(f"the filter {where!r} leaves no video but the query, {asked.told!r}; expected another one too")


def _rows_are_near(
    whole: "Index",
    asked: SearchQuery,
    hits: "Sequence[Hit]",
    store: "FeatureStore | str | Path | None",
    *,
    otherwise: bool,
) -> bool:
    """Return whether rows of the nearest videos are near to a text that the whole videos are not near to.

    A text may describe a moment, which the mean of a video blurs. `otherwise` is the answer if the store of the rows is
    not found.
    """
    try:
        found = store_of(whole, store)
    except DataError:
        return otherwise
    ids = [hit.video_id for hit in hits if hit.video_id in found and not hit.enrolled]
    if not ids or asked.names is None:
        return otherwise
    return rows_are_near(found, ids, asked.vector, asked.names, others=list(whole.ids))


def _background(index: "Index", asked: SearchQuery) -> "Background | None":
    """Return what tells whether a query stands out, or None if there is too little data, or if it is not judged."""
    from framebank.heads.moments.background import Background, some_of

    if asked.names is not None:
        made = Background(some_of(index.searched_vectors).astype("float32", copy=False), asked.names)
        return made if made.is_enough else None
    return _other_videos(index, asked) if index.searched.rows is None else None


def _other_videos(index: "Index", asked: SearchQuery) -> "Background | None":
    """Return the index's own videos, which say how many of them fit a hit as well as a query that is made of rows."""
    import numpy as np

    from framebank.heads.moments.background import Background, some_of

    if not asked.by_own:
        return None
    own = some_of(index.own_vectors, MOST_OWN)
    ids = index.own.ids
    made = Background(own, own, is_own=True, of=tuple(ids[row] for row in some_of(np.arange(len(ids)), MOST_OWN)))
    return made if made.is_enough else None


def _with_chances(
    index: "Index", hits: "Sequence[Hit]", background: "Background | None", asked: SearchQuery
) -> "list[Hit]":
    if background is None:
        return list(hits)

    def chance(hit: "Hit") -> float:
        return background.chance(index.vector_of(hit)[None], hit.score, without={hit.video_id, *asked.leaves_out})

    return [replace(hit, chance=chance(hit)) for hit in hits]
