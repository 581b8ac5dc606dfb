"""Hits: the nearest videos to a query, best first; a sequence that shows itself as a table."""

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.table import html_table, table

if TYPE_CHECKING:
    from framebank.store.indexes.index import Hit


@dataclass(frozen=True, repr=False)
class Hits(Sequence["Hit"]):
    """The hits of one query: video_id, score (a cosine), label, path, and start and end in seconds of each.

    In a notebook each hit shows a frame of its video, where the file is still there.
    """

    query: str
    hits: tuple["Hit", ...]

    @overload
    def __getitem__(self, place: int) -> "Hit": ...

    @overload
    def __getitem__(self, place: slice) -> "Hits": ...

    def __getitem__(self, place: "int | slice") -> "Hit | Hits":
        return Hits(self.query, self.hits[place]) if isinstance(place, slice) else self.hits[place]

    def __len__(self) -> int:
        return len(self.hits)

    def to_dict(self) -> dict[str, Any]:
        """Return the query and the hits as plain values."""
        return {"query": self.query, "hits": [{**asdict(hit), "path": str(hit.path)} for hit in self.hits]}

    def lines(self) -> list[str]:
        """Return the hits as a table, with columns of seconds and of what was enrolled where one has such."""
        return table(*self._cells())

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        spans = [_seconds(hit) for hit in self.hits]
        marks = ["enrolled" if hit.enrolled else "" for hit in self.hits]
        header = ("video", *["seconds"] * any(spans), "cosine", "label", *["by"] * any(marks), "path")
        rows = [
            (
                hit.video_id,
                *[span] * any(spans),
                f"{hit.score:.3f}",
                hit.label,
                *[mark] * any(marks),
                _short(hit.path),
            )
            for hit, span, mark in zip(self.hits, spans, marks, strict=True)
        ]
        return header, rows

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), pictures=[_picture(hit) for hit in self.hits])


def _short(path: Path) -> str:
    """The path from the working directory, where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def _seconds(hit: "Hit") -> str:
    if not hit.start and hit.end is None:
        return ""
    return f"{hit.start or 0:g} to {'the end' if hit.end is None else format(hit.end, 'g')}"


def _picture(hit: "Hit") -> str:
    """The middle frame of a hit as the address of an image, "" where its file cannot be read."""
    from PIL import Image

    from framebank.extract.decoders.decode import read_clip
    from framebank.extract.sampling import read_sampling
    from framebank.store.errors import DataError

    try:
        middle = read_sampling("segments:1")
        frames = read_clip(hit.path, lambda times: middle.rows(times, start=hit.start, end=hit.end)).data
    except DataError:
        return ""
    image = Image.fromarray(frames[0])
    image.thumbnail((192, 96))
    content = io.BytesIO()
    image.save(content, "jpeg")
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
