"""Hits: the videos nearest to a query, best first. A sequence that prints as a table."""

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.checks import typed
from framebank.library.table import html_table, table

if TYPE_CHECKING:
    from framebank.library.searching.clips import ExportedClips
    from framebank.library.searching.preview import Preview
    from framebank.library.searching.sheet import Sheet
    from framebank.store import Span
    from framebank.store.indexes.index import Hit


@typed
@dataclass(frozen=True, repr=False)
class Hits(Sequence["Hit"]):
    """The hits of one query. Each has video_id, score (a cosine), label, path, chance, and start and end in seconds.

    `found` is false if nothing stands out. The nearest videos are still listed then, unless the caller asked for none.
    `chance` is the share of the everyday names that fit a hit at least as well. If the query is made of videos,
    pictures or moments, it is the share of the other videos; `by_videos` says so. It is None where nothing can say. In
    a notebook each hit shows a frame of its video, if the file still exists.
    """

    query: str
    hits: tuple["Hit", ...]
    found: bool = True
    by_videos: bool = False

    @overload
    def __getitem__(self, place: int) -> "Hit": ...

    @overload
    def __getitem__(self, place: slice) -> "Hits": ...

    def __getitem__(self, place: "int | slice") -> "Hit | Hits":
        return replace(self, hits=self.hits[place]) if isinstance(place, slice) else self.hits[place]

    def __len__(self) -> int:
        return len(self.hits)

    def to_dict(self) -> dict[str, Any]:
        """Return the query, `found` and the hits as plain values."""
        return {
            "query": self.query,
            "found": self.found,
            "hits": [{**asdict(hit), "path": str(hit.path)} for hit in self.hits],
        }

    def lines(self) -> list[str]:
        """Return the hits as a table. Seconds, chance and enrolled have a column only if a hit has them."""
        return [*table(*self._cells())] * bool(self.hits or self.found) + self._below()

    def spans(self) -> "tuple[Span, ...]":
        """Return the hits that have a start and an end as spans, ready for `write_spans`."""
        from framebank.store.spans.span import Span

        return tuple(
            Span(hit.video_id, hit.start or 0.0, hit.end, hit.label, hit.score, "search")
            for hit in self.hits
            if hit.end is not None
        )

    def export_clips(self, folder: str | Path, *, exact: bool = False) -> "ExportedClips":
        """Cut the stretch of each hit out of its video, into a file of its own in a folder; return what became of each.

        The packets are copied, without loss and with the sound, from the key frame at or before the start on. Where
        that is depends on the video, and each clip tells. With `exact` the frames from the start on are encoded anew,
        without sound. A hit without seconds is its whole video. No file is written over; what cannot be cut has an
        `error`, and the others are done. DataError where the folder cannot be one.

        >>> hits = index.search("a person falls", moments=True)                                # doctest: +SKIP
        >>> hits.export_clips("clips")[0].start                                                # doctest: +SKIP
        4.8
        """
        from framebank.library.searching.clips import export_hits

        return export_hits(self.hits, Path(folder), exact=exact)

    def sheet(self, path: str | Path) -> "Sheet":
        """Write a contact sheet as a PNG: a row for each hit, with six frames of its stretch in order and a caption.

        A file that is there is replaced. A video that cannot be read is in `failed`, and its row has no frames.
        DataError where there are no hits, the name does not end in .png, or the place cannot be written to.

        >>> index.search("a person falls", moments=True).sheet("falls.png").rows               # doctest: +SKIP
        10
        """
        from framebank.library.searching.sheet import write_sheet

        rows = [(hit.video_id, _caption(hit), hit.path, hit.start, hit.end) for hit in self.hits]
        return write_sheet(self.query, rows, Path(path))

    def preview(self, path: str | Path) -> "Preview":
        """Write animated WebP pictures of the hits: all in one file (.webp), or a file each in a folder.

        The frames are those of the stretch of each hit, 8 of a second, at most 192 pixels high, with the caption of the
        hit and the second of the video below. One hit has 48 frames at most, a file of all hits 240, or two of each hit
        if they are more; a longer stretch plays faster. Files that are there are replaced. A video that cannot be read
        is in `failed`. DataError if there are no hits, if the name has another ending, or if the place cannot be
        written to.

        >>> index.search("a person falls", moments=True).preview("falls.webp").hits            # doctest: +SKIP
        10
        """
        from framebank.library.searching.preview import write_preview

        return write_preview([(hit, _caption(hit)) for hit in self.hits], Path(path))

    def _below(self) -> list[str]:
        if self.found:
            return []
        shown = "the nearest are shown all the same" if self.hits else "--all shows the nearest all the same"
        why = f"nothing here fits {self.query!r} better than everyday names fit"
        if self.by_videos:
            why = f"no video here is as near to {self.query!r} as they usually are to each other"
        return [f"nothing found: {why}; {shown}"]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        spans = [_seconds(hit) for hit in self.hits]
        marks = ["enrolled" if hit.enrolled else "" for hit in self.hits]
        shares = ["" if hit.chance is None else f"{100 * hit.chance:.0f} %" for hit in self.hits]
        header = (
            "video",
            *["seconds"] * any(spans),
            "cosine",
            *["chance"] * any(shares),
            "label",
            *["by"] * any(marks),
            "path",
        )
        rows = [
            (
                hit.video_id,
                *[span] * any(spans),
                f"{hit.score:.3f}",
                *[share] * any(shares),
                hit.label,
                *[mark] * any(marks),
                _short(hit.path),
            )
            for hit, span, share, mark in zip(self.hits, spans, shares, marks, strict=True)
        ]
        return header, rows

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), pictures=[_picture(hit) for hit in self.hits], below=self._below())


def _short(path: Path) -> str:
    """Return the path relative to the working directory if that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def _seconds(hit: "Hit") -> str:
    if not hit.start and hit.end is None:
        return ""
    return f"{_shown(hit.start or 0)} to {'the end' if hit.end is None else _shown(hit.end)}"


def _caption(hit: "Hit") -> str:
    """What stands below the frames of a hit; where there is little room, its end is cut off."""
    seconds = _seconds(hit)
    label = [hit.label] * bool(hit.label)
    return "   ".join([*[f"{seconds} s"] * bool(seconds), f"{hit.score:.3f}", *label, hit.video_id])


def _shown(seconds: float) -> str:
    """Return seconds rounded to a hundredth, without trailing zeros."""
    return f"{seconds:.2f}".rstrip("0").rstrip(".")


def _picture(hit: "Hit") -> str:
    """Return the middle frame of a hit as the address of an image, or "" if its file cannot be read."""
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
