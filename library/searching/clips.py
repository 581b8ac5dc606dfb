"""Clips of hits: the stretches that a search found, each cut out of its video into a file of its own."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.table import html_table, table
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store.indexes.index import Hit

SECONDS_BYTES = 40  # of a file's name, behind that of its video


@dataclass(frozen=True)
class ExportedClip:
    """What became of one hit: the file at `path`, or `error`, why there is none.

    `start` and `end` are the seconds of its video that the file shows, those of the hit where there is no file. A copy
    starts at a key frame, and so at or before `wanted_start`, that of the hit.
    """

    video_id: str
    path: Path | None
    start: float
    end: float | None
    wanted_start: float
    error: str = ""


@dataclass(frozen=True, repr=False)
class ExportedClips(Sequence[ExportedClip]):
    """The clips of some hits in their order; `failed` are those that could not be made."""

    folder: Path
    clips: tuple[ExportedClip, ...]

    @overload
    def __getitem__(self, place: int) -> ExportedClip: ...

    @overload
    def __getitem__(self, place: slice) -> "ExportedClips": ...

    def __getitem__(self, place: int | slice) -> "ExportedClip | ExportedClips":
        return ExportedClips(self.folder, self.clips[place]) if isinstance(place, slice) else self.clips[place]

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def failed(self) -> tuple[ExportedClip, ...]:
        """The hits of which there is no file."""
        return tuple(clip for clip in self.clips if clip.error)

    def to_dict(self) -> dict[str, Any]:
        """Return the clips as plain values."""
        clips = [{**asdict(clip), "path": None if clip.path is None else str(clip.path)} for clip in self.clips]
        return {"folder": str(self.folder), "clips": clips}

    def lines(self) -> list[str]:
        """Return a row for each file, and how many there are."""
        header, rows = self._cells()
        return [*(table(header, rows) if rows else ()), *self._below()]

    def faults(self) -> list[str]:
        """Return a line for each hit of which there is no file."""
        return [f"no clip of {one.video_id} from {one.wanted_start:.2f} s: {one.error}" for one in self.failed]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [
            (clip.path.name, f"{clip.start:.2f} to {clip.end:.2f}", f"{clip.wanted_start:.2f}")
            for clip in self.clips
            if clip.path is not None and clip.end is not None
        ]
        return ("clip", "shows seconds", "found from"), rows

    def _below(self) -> list[str]:
        return [f"{counted(len(self) - len(self.failed), 'clip')} -> {self.folder}"]

    def __repr__(self) -> str:
        return "\n".join([*self.lines(), *self.faults()])

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=[*self._below(), *self.faults()])


def export_hits(hits: "Sequence[Hit]", folder: Path, *, exact: bool) -> ExportedClips:
    """Cut each hit out of its video into a folder, by copying packets, or by encoding where it is to be `exact`.

    A hit that cannot be cut is told of, and the others are done. DataError where the folder cannot be one.
    """
    from framebank.extract.decoders.cut import copy_stretch, encode_stretch
    from framebank.store.files.replacing import require_new_folder

    cut = encode_stretch if exact else copy_stretch
    clips: list[ExportedClip] = []
    if hits:
        require_new_folder(folder, what="clips")
    for hit in hits:
        start = hit.start or 0.0
        try:
            made = cut(hit.path, folder / stem_of(hit, folder), start=start, end=hit.end)
            clips.append(ExportedClip(hit.video_id, made.path, made.start, made.end, start))
        except DataError as error:
            clips.append(ExportedClip(hit.video_id, None, start, hit.end, start, str(error)))
    return ExportedClips(folder, tuple(clips))


def stem_of(hit: "Hit", folder: Path) -> str:
    """Return the name, without its ending, of a file of a hit in a folder: its video_id and its seconds."""
    from framebank.store.exchange.export_names import key_of, name_bytes

    stem = key_of(hit.video_id, most=name_bytes(folder) - SECONDS_BYTES)
    if hit.end is not None:
        return f"{stem}_{hit.start or 0.0:.2f}-{hit.end:.2f}s"
    return f"{stem}_{hit.start:.2f}-" if hit.start else stem
