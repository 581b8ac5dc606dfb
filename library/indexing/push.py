"""Push the vectors of an index into a vector database, with what is known of their videos."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.library.checks import require_least, typed
from framebank.library.search_index import SearchIndex
from framebank.library.table import html_lines
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError

BATCH = 500
LONGEST_NAME = 63  # bytes of the name of a table; PostgreSQL cuts longer ones


@dataclass(frozen=True, repr=False)
class IndexPush:
    """What was pushed: `pushed` points of `level`, to the place `to`, which `holds` so many points now."""

    index: Path
    to: str
    level: str
    pushed: int
    holds: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**vars(self), "index": str(self.index)}

    def lines(self) -> list[str]:
        """Return how many points were pushed, and how many are there now."""
        return [f"pushed {counted(self.pushed, self.level)} -> {self.to}", f"it holds {counted(self.holds, 'point')}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_lines(self.lines())


@typed
def push_index(
    index: SearchIndex | str | Path,
    to: str,
    *,
    name: str = "framebank",
    batch: int = BATCH,
    watch: Watch = unwatched,
) -> IndexPush:
    """Write what an index searches into a vector database: its videos, clips or frames, `batch` points at a time.

    `to` is "qdrant:URL" or "pgvector:DSN", and `name` that of the collection or table, which is made if it is not
    there. A point is a unit vector (D,) with video_id, path, label, split, start and end in seconds, level, encoder and
    the other columns of the store's list. Its id is always the same, so pushing again writes no point twice. Videos
    that were removed from the store are not pushed, and nothing is deleted or read back. DataError if the database is
    not installed, does not answer, or has vectors of another width under this name.

    >>> import framebank as fb
    >>> fb.push_index("index", "qdrant:http://localhost:6333")                                 # doctest: +SKIP
    pushed 64 videos -> qdrant:http://localhost:6333, collection 'framebank'
    it holds 64 points
    """
    from framebank.store.push.points import points_of
    from framebank.store.push.targets import open_target

    require_least("batch", batch, 1)
    if not name.strip() or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise DataError(f"the name {name!r} is not that of a collection; expected 1 to {LONGEST_NAME} printable bytes")
    opened = index if isinstance(index, SearchIndex) else SearchIndex.open(index)
    num_points = len(opened.index.searched_vectors)
    with contextlib.closing(open_target(to, name)) as target:
        target.prepare(opened.index.spec.dim)
        for points in watch(points_of(opened.index, batch=batch), total=-(-num_points // batch), unit="batch"):
            target.write(points)
        return IndexPush(opened.shown, target.shown, opened.index.searched.level, num_points, target.count())
