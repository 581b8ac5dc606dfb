"""Queries: what a text, a video, a picture, a moment or an embedding asks of an index."""

import numbers
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.searching.asked import SearchOptions, SearchQuery, everyday_names, is_unknown
from framebank.library.searching.moments import rows_of_id
from framebank.library.searching.query import Query
from framebank.store.errors import DataError
from framebank.store.videos.video import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import Embeddings
    from framebank.store.indexes.index import Index


def query_of(index: "Index", given: Any) -> Query:
    """Return a query as it is, and what else a search takes as one; DataError where a text looks like a lost path."""
    if isinstance(given, Query):
        return given
    if isinstance(given, Path):
        return Query(file=given)
    if not isinstance(given, str):
        return Query(vector=given)
    if given in index:
        return Query(video_id=given)
    if is_file(given):
        return Query(file=given)
    require_no_path(given)
    return Query(text=given)


def queries_of(index: "Index", given: Any) -> list[Query]:
    """Return the queries of a search: one, or those of a list; a list of numbers is an embedding.

    DataError where the list is empty, or an item of it is no query.
    """
    if isinstance(given, str | Path | Query) or hasattr(given, "__array__"):
        return [query_of(index, given)]
    several = list(given)
    if not several:
        raise DataError("the list of queries is empty; expected a text, a file, an id or an embedding at least")
    if all(isinstance(one, numbers.Number) for one in several):
        return [query_of(index, several)]
    for place, one in enumerate(several):
        if not isinstance(one, str | Path | Query | list | tuple) and not getattr(one, "ndim", 0):
            raise DataError(f"item {place} of the queries is {one!r}; expected a text, a path, an array or a query")
    return [query_of(index, one) for one in several]


def asked_by(
    index: "Index", parts: Sequence[Query], how: SearchOptions, *, folder: Path, load: "Callable[[], Encoder]"
) -> SearchQuery:
    """Return what queries ask together of the index in a folder, as `how` says. `load` gives the encoder.

    DataError as `asked_by_text`, `asked_by_file`, `asked_by_id` and `combined` say.
    """
    from framebank.library.searching.combined import combined

    def one(part: Query) -> SearchQuery:
        if part.text is not None:
            return asked_by_text(folder, index, load, part.text, how)
        if part.file is not None:
            return asked_by_file(index, load(), Path(part.file), how)
        if part.image is not None:
            return asked_by_image(index, load(), Path(part.image), how)
        if part.video_id is not None:
            return asked_by_id(index, part.video_id, how, within=part.within, where=folder)
        return asked_by_vector(index, part.vector)

    return combined([(part.weight, one(part)) for part in parts])


def is_file(text: str) -> bool:
    """Return whether a text is the path of a file, or of a folder (of frames) as a / tells; "surfing" is a text."""
    try:
        return Path(text).is_file() or ("/" in text and Path(text).is_dir())
    except (OSError, ValueError):  # a sentence may be too long to be a path at all
        return False


def require_no_path(text: str) -> None:
    """Raise DataError if a text looks like the path of a video that is not there."""
    if " " not in text and Path(text).suffix.lower() in VIDEO_SUFFIXES:
        raise DataError(f"{text}: no such file; expected a video, an id or a text (search_text takes any text)")


def asked_by_text(
    folder: Path, index: "Index", load: "Callable[[], Encoder]", text: str, how: SearchOptions
) -> SearchQuery:
    """Return what a text asks of the index in a folder, or of its rows, as `how` says.

    `load` gives the encoder. DataError where the text is empty, or the vectors are not in the space of texts.
    """
    if not text.strip():
        raise DataError("the text to search for is empty; expected a sentence")
    _require_texts(index, how)
    encoder = load()
    names = everyday_names(folder, index, encoder)
    return SearchQuery(text, encoder.encode_texts([text])[0], names=names, known=not is_unknown(text, encoder))


def asked_by_vector(index: "Index", query: object) -> SearchQuery:
    """Return what an embedding (D,) or (1, D) asks; DataError where it is none of the index's width."""
    import numpy as np

    vector = np.asarray(query)
    if vector.dtype.kind not in "fiu" or vector.shape not in ((index.spec.dim,), (1, index.spec.dim)):
        raise DataError(f"the query is an array of {vector.dtype} {vector.shape}; expected numbers ({index.spec.dim},)")
    return SearchQuery("an embedding", vector.reshape(-1).astype(np.float32))


def asked_by_file(index: "Index", encoder: "Encoder", path: Path, how: SearchOptions) -> SearchQuery:
    """Return what a video file asks, pooled as the index's own videos were, or for moments by the mean of its rows.

    DataError where it cannot be read.
    """
    from framebank.library.labelling import embed_file

    return _asked_by_rows(index, embed_file(path, index.spec, encoder), path, how)


def asked_by_image(index: "Index", encoder: "Encoder", path: Path, how: SearchOptions) -> SearchQuery:
    """Return what a picture asks, as a video of one frame; DataError where it cannot be read."""
    from framebank.library.labelling import embed_image

    return _asked_by_rows(index, embed_image(path, index.spec, encoder), path, how)


def _asked_by_rows(index: "Index", rows: "Embeddings", path: Path, how: SearchOptions) -> SearchQuery:
    from framebank.heads.labelling.neighbours import pool_query
    from framebank.heads.moments.rows import rows_in_time

    vector = rows_in_time(rows)[0].mean(axis=0) if how.get("moments") else pool_query(index, rows)[0]
    return SearchQuery(str(path), vector, by_own=True)


def asked_by_id(
    index: "Index", video_id: str, how: SearchOptions, *, within: tuple[float, float] | None = None, where: Path
) -> SearchQuery:
    """Return what one of the own videos of the index at `where` asks, or what it shows `within` some seconds.

    DataError where there is no such video, or the seconds lie outside it, or a run pooled the index, which has vectors
    of whole videos alone.
    """
    vector = index.vector(video_id)
    if within is not None and len(within) != 2:
        raise DataError(f"the moment within {video_id!r} is {within!r}; expected its start and its end in seconds")
    if within is not None and index.made_by.get("run") and not how.get("moments"):
        raise DataError(f"{where}: was pooled by a run, which makes whole videos alone; ask for moments instead")
    if within is not None or how.get("moments"):
        vector = rows_of_id(index, video_id, how.get("store"), within=within)
    told = video_id if within is None else f"{video_id}, {within[0]:g} to {within[1]:g} s"
    out = () if within is None or not how.get("moments") else (within,)
    return SearchQuery(told, vector, by_own=True, leaves_out={video_id: out})


def _require_texts(index: "Index", how: SearchOptions) -> None:
    """Refuse a text where what it is compared with, the index's vectors, or rows for moments, is not of texts."""
    if not how.get("moments"):
        from framebank.heads.labelling.neighbours import require_text_space

        require_text_space(index)
