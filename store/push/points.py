"""Points: what of an index goes into a vector database, the vectors with an id that stays and what is known of them."""

import json
import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from framebank.store.indexes.filters import told_durations
from framebank.store.indexes.index import Index
from framebank.store.videos.seconds import NUMBER

# The ids of points are names in this space, and so the same each time.
SPACE = uuid.UUID("5a7f3a7e-0f3e-5b8a-9d52-6c1b8a2f4d10")

Value = str | float | None


@dataclass(frozen=True, eq=False)
class Points:
    """Points that are written together: `ids` (N) are UUIDs, `vectors` (N, D) unit float32, `payloads` (N).

    A payload has video_id, path, label, split, level, encoder, start and end of the row and the duration of the video
    in seconds (None if not known), and `columns`, what the list of the store has beside these, where a cell that looks
    like a number is one.
    """

    ids: Sequence[str]
    vectors: np.ndarray
    payloads: Sequence[dict[str, "Value | dict[str, Value]"]]

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if self.vectors.ndim != 2 or not len(self.ids) == len(self.vectors) == len(self.payloads):
            raise ValueError(f"{len(self.ids)} ids, vectors {self.vectors.shape}, {len(self.payloads)} payloads")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Points({len(self)}, vectors {self.vectors.shape})"


class Collection(Protocol):
    """A collection of a vector database. All methods raise DataError where the database refuses or does not answer."""

    @property
    def shown(self) -> str:
        """Where it is, without a password."""
        ...

    def prepare(self, dim: int) -> None:
        """Make the collection for vectors of this width if it is not there; DataError if it has another width."""
        ...

    def write(self, points: Points) -> None:
        """Write points in place of those with the same ids."""
        ...

    def count(self) -> int:
        """Return how many points the collection has."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def points_of(index: Index, *, batch: int) -> Iterator[Points]:
    """Yield what a search in an index goes through, `batch` points at a time: its videos, clips or frames.

    Enrolled examples are not among them. The id of a point is made of the level, the video_id and the place of the row
    in its video, so it is the same each time and on each machine.
    """
    rows, own = index.searched.rows, index.own
    vectors, durations = index.searched_vectors, told_durations(own)
    level, encoder = index.searched.level, index.spec.encoder
    firsts = np.concatenate([[0], rows.ends]) if rows else np.zeros(0, np.int64)
    for first in range(0, len(vectors), batch):
        ids: list[str] = []
        payloads: list[dict[str, Value | dict[str, Value]]] = []
        for row in range(first, min(first + batch, len(vectors))):
            place = int(rows.video_of[row]) if rows else row
            video = own[place]
            start, end = map(float, rows.spans[row]) if rows else (video.start, video.end)
            number = row - int(firsts[place]) if rows else 0
            ids.append(str(uuid.uuid5(SPACE, json.dumps([level, video.video_id, number]))))
            payloads.append(
                {
                    "video_id": video.video_id,
                    "path": str(video.path),
                    "label": video.label,
                    "split": video.split,
                    "start": start,
                    "end": end,
                    "duration": durations[place],
                    "level": level,
                    "encoder": encoder,
                    "columns": {name: _value(cell) for name, cell in video.extra},
                }
            )
        yield Points(ids, np.ascontiguousarray(vectors[first : first + batch], dtype=np.float32), payloads)


def _value(cell: str) -> Value:
    """Return what a cell of a column of the user stands for, as a filter of a search takes it.

    A number that is too large to be finite stays a text: JSON knows no infinity.
    """
    return number if NUMBER.fullmatch(cell) and math.isfinite(number := float(cell)) else cell
