"""SearchQuery: a query of a search, and what it is judged by."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from framebank.store.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import Embeddings, FeatureStore
    from framebank.store.indexes.index import Index

LONG_WORD = 4  # letters; shorter words say little
SAME = 1e-3  # the length of the difference of two unit vectors that count as one


class SearchOptions(TypedDict, total=False):
    """How `SearchIndex.search` answers."""

    k: int
    moments: bool
    keep_all: bool
    store: "FeatureStore | str | Path | None"
    where: str | None


@dataclass(frozen=True, eq=False)
class SearchQuery:
    """A query: `told` is what was given, in words, and `vector` (D,) what it is compared by.

    `names` (N, D) are the everyday names that a text is judged by; `by_own` says that it is judged by the index's own
    videos; with neither it is not judged. `known` is false for a text that the encoder never learned. `leaves_out` is
    a video_id that is no answer.
    """

    told: str
    vector: "np.ndarray"
    names: "np.ndarray | None" = None
    by_own: bool = False
    known: bool = True
    leaves_out: str = ""

    def __repr__(self) -> str:
        return f"SearchQuery({self.told!r}, vector {self.vector.shape})"


def asked_by_text(folder: Path, index: "Index", encoder: "Encoder", text: str) -> SearchQuery:
    """Return what a text asks of the index in a folder."""
    names = everyday_names(folder, index, encoder)
    return SearchQuery(text, encoder.encode_texts([text])[0], names=names, known=not is_unknown(text, encoder))


def asked_by_vector(index: "Index", query: "np.ndarray") -> SearchQuery:
    """Return what an embedding (D,) or (1, D) asks; DataError where it is none of the index's width."""
    import numpy as np

    vector = np.asarray(query)
    if vector.dtype.kind not in "fiu" or vector.shape not in ((index.spec.dim,), (1, index.spec.dim)):
        raise DataError(f"the query is an array of {vector.dtype} {vector.shape}; expected numbers ({index.spec.dim},)")
    return SearchQuery("an embedding", vector.reshape(-1).astype(np.float32))


def asked_without(asked: SearchQuery, encoder: "Encoder", text: str) -> SearchQuery:
    """Return a query for what is near to `asked` and far from a text: the unit vectors' difference, of length 1.

    The names that a text is judged by lose the same vector; other queries are not judged then. DataError where the text
    is empty, or says the same as the query.
    """
    import numpy as np

    from framebank.store.vectors import has_direction, unit

    if not text.strip():
        raise DataError("the text to search without (minus) is empty; expected a sentence")
    if not has_direction(asked.vector):
        raise DataError(f"the embedding of {asked.told!r} is all zeros, or holds values that are not numbers")
    away = unit(encoder.encode_texts([text])[0])
    left = unit(asked.vector) - away
    if np.linalg.norm(left) < SAME:
        raise DataError(f"{asked.told!r} without {text!r} leaves nothing to search for; expected another text")
    names = None
    if asked.names is not None:
        less = asked.names - away
        names = unit(less[np.linalg.norm(less, axis=1) >= SAME])
    return replace(asked, told=f"{asked.told} (minus {text})", vector=unit(left), names=names, by_own=False)


def mean_row(embeddings: "Embeddings") -> "np.ndarray":
    """Return the mean (D,) of the unit rows of a video."""
    from framebank.heads.moments.rows import rows_in_time

    mean: np.ndarray = rows_in_time(embeddings)[0].mean(axis=0)
    return mean


def everyday_names(folder: Path, index: "Index", encoder: "Encoder") -> "np.ndarray":
    """Return the unit vectors (N, D) of everyday names that the encoder knows, from beside the index, or kept there."""
    from framebank.heads.moments.everyday import NAMES
    from framebank.store.indexes.names import read_names, write_names
    from framebank.store.vectors import unit

    vectors = read_names(folder, NAMES, index.spec)
    if vectors is None:
        vectors = unit(encoder.encode_texts(known_names(encoder), phrases=()))
        write_names(folder, NAMES, index.spec, vectors)
    return vectors


def known_names(encoder: "Encoder") -> list[str]:
    """Return the everyday names of which the encoder learned every word."""
    from framebank.heads.moments.everyday import NAMES

    unknown = set(encoder.reader.unknown_words(NAMES))
    return [name for name in NAMES if not unknown.intersection(encoder.reader.words(name))]


def is_unknown(text: str, encoder: "Encoder") -> bool:
    """Return whether the encoder never learned half of the longer words of a text, and so cannot tell what it means."""
    words = [word for word in encoder.reader.words(text) if len(word) >= LONG_WORD]
    unknown = set(encoder.reader.unknown_words([text]))
    return bool(unknown) and 2 * sum(word in unknown for word in words) >= len(words)
