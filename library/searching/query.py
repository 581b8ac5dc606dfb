"""Query: one part of what is searched for, and how much it counts."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framebank.store.errors import DataError
from framebank.store.formats.typed import typed_init

if TYPE_CHECKING:
    import numpy as np


@typed_init
@dataclass(frozen=True, eq=False)
class Query:
    """One part of a search: a text, a video file, a picture, a video of the index or seconds within it, or a vector.

    A search takes several in a list. The unit vector of each is multiplied with its `weight`, and their sum is searched
    for. A weight below 0 is for what hits should be far from. `vector` is an embedding (D,). DataError unless exactly
    one of the first five is given, and where the weight is 0.

    >>> Query(text="a person falls", weight=2)
    Query(text='a person falls', weight=2)
    >>> Query(video_id="film_002", within=(3.2, 5))
    Query(video_id='film_002', within=(3.2, 5))
    """

    text: str | None = None
    file: "str | Path | None" = None
    image: "str | Path | None" = None
    video_id: str | None = None
    vector: "np.ndarray | None" = None
    within: tuple[float, float] | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check that it is one query."""
        given = [name for name in ("text", "file", "image", "video_id", "vector") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "nothing"
            raise DataError(f"a query has {told}; expected one of text, file, image, video_id and vector")
        if self.within is not None and len(self.within) != 2:
            raise DataError(f"within of a query is {self.within}; expected its start and its end in seconds")
        if self.within is not None and self.video_id is None:
            raise DataError(f"a query by {given[0]} has seconds (within); expected them with a video_id alone")
        if not math.isfinite(self.weight) or self.weight == 0:
            raise DataError(f"the weight of a query is {self.weight}; expected a number above 0, or below to be far")

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value is not None and name != "vector"}
        if self.weight == 1:
            del given["weight"]
        told = [f"{name}={value!r}" for name, value in given.items()]
        told += ["vector=..."] if self.vector is not None else []
        return f"Query({', '.join(told)})"
