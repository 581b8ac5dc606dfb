"""Queries: what a text, a video, a picture, a moment or an embedding asks of an index."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.searching.asked import SearchOptions, SearchQuery, everyday_names, is_unknown
from framebank.library.searching.moments import rows_of_id
from framebank.store.errors import DataError
from framebank.store.videos.video import VIDEO_SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import Embeddings
    from framebank.store.indexes.index import Index

SAME = 1e-3  # the length of the difference of two unit vectors that count as one


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


def asked_by_vector(index: "Index", query: "np.ndarray") -> SearchQuery:
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
    return SearchQuery(told, vector, by_own=True, leaves_out=video_id, within=within if how.get("moments") else None)


def asked_without(
    asked: SearchQuery, index: "Index", load: "Callable[[], Encoder]", text: str, how: SearchOptions
) -> SearchQuery:
    """Return a query for what is near to `asked` and far from a text: the unit vectors' difference, of length 1.

    The names that a text is judged by lose the same vector; other queries are not judged then. DataError where the text
    is empty, or says the same as the query, or the vectors are not in the space of texts.
    """
    import numpy as np

    from framebank.store.vectors import has_direction, unit

    if not text.strip():
        raise DataError("the text to search without (minus) is empty; expected a sentence")
    _require_texts(index, how)
    if not has_direction(asked.vector):
        raise DataError(f"the embedding of {asked.told!r} is all zeros, or holds values that are not numbers")
    away = unit(load().encode_texts([text])[0])
    left = unit(asked.vector) - away
    if np.linalg.norm(left) < SAME:
        raise DataError(f"{asked.told!r} without {text!r} leaves nothing to search for; expected another text")
    names = None
    if asked.names is not None:
        less = asked.names - away
        names = unit(less[np.linalg.norm(less, axis=1) >= SAME])
    return replace(asked, told=f"{asked.told} (minus {text})", vector=unit(left), names=names, by_own=False)


def _require_texts(index: "Index", how: SearchOptions) -> None:
    """Refuse a text where what it is compared with, the index's vectors, or rows for moments, is not of texts."""
    if not how.get("moments"):
        from framebank.heads.labelling.neighbours import require_text_space

        require_text_space(index)
