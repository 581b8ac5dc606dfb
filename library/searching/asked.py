"""SearchQuery: a query of a search, and what judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import numpy as np

    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import FeatureStore
    from framebank.store.indexes.index import Index

LONG_WORD = 4  # letters; shorter words say little


class SearchOptions(TypedDict, total=False):
    """How `SearchIndex.search` answers."""

    k: int
    moments: bool
    keep_all: bool
    store: "FeatureStore | str | Path | None"
    where: str | None


@dataclass(frozen=True, eq=False)
class SearchQuery:
    """A query: `told` describes what was given, and `vector` (D,) is what is compared.

    `names` (N, D) are the everyday names that judge a text. `by_own` says that the query was made of rows: the index's
    own videos judge it, and moments are compared without their mean row. With neither, it is not judged. `known` is
    false for a text that the encoder never learned. `leaves_out` has the videos that must not be hits; where seconds
    are given, no moment of that video may meet them, and the rest of it is searched.
    """

    told: str
    vector: "np.ndarray"
    names: "np.ndarray | None" = None
    by_own: bool = False
    known: bool = True
    leaves_out: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SearchQuery({self.told!r}, vector {self.vector.shape})"


def everyday_names(folder: Path, index: "Index", encoder: "Encoder") -> "np.ndarray":
    """Return the unit vectors (N, D) of the everyday names that the encoder knows, kept beside the index."""
    from framebank.heads.moments.everyday import NAMES
    from framebank.store.indexes.names import read_names, write_names
    from framebank.store.vectors import unit

    vectors = read_names(folder, NAMES, index.spec)
    if vectors is None:
        vectors = unit(encoder.encode_texts(known_names(encoder), phrases=()))
        write_names(folder, NAMES, index.spec, vectors)
    return vectors


def known_names(encoder: "Encoder") -> list[str]:
    """Return the everyday names whose words the encoder has all learned."""
    from framebank.heads.moments.everyday import NAMES

    unknown = set(encoder.reader.unknown_words(NAMES))
    return [name for name in NAMES if not unknown.intersection(encoder.reader.words(name))]


def is_unknown(text: str, encoder: "Encoder") -> bool:
    """Return whether the encoder never learned half of the longer words of a text, and so cannot tell what it means."""
    words = [word for word in encoder.reader.words(text) if len(word) >= LONG_WORD]
    unknown = set(encoder.reader.unknown_words([text]))
    return bool(unknown) and 2 * sum(word in unknown for word in words) >= len(words)
