"""The preview: what a search found as animated WebP pictures, in one file or in a file for each hit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.searching.clips import stem_of
from framebank.library.searching.playing import Playing, read_playing, write_animation
from framebank.library.table import html_lines
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.replacing import require_new_folder

if TYPE_CHECKING:
    from framebank.store.indexes.index import Hit

SUFFIX = ".webp"
MOST_FRAMES = 48  # of one hit
ALL_FRAMES = 240  # of all hits in one file


@dataclass(frozen=True, repr=False)
class Preview:
    """Animated WebP pictures of hits: the `files`, how many `hits` they show, and `failed`, why others are not shown.

    `path` is the file, or the folder of the files; `others` counts the pictures there that an earlier search left.
    `failed` has the reasons by "video_id from 3.20 s".
    """

    path: Path
    files: tuple[Path, ...]
    hits: int
    failed: dict[str, str] = field(default_factory=dict)
    others: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return where the pictures are and what is not in them, as plain values."""
        files = [str(file) for file in self.files]
        return {"path": str(self.path), "files": files, "hits": self.hits, "failed": dict(self.failed)}

    def lines(self) -> list[str]:
        """Return how many hits are shown, and where."""
        told = [f"{counted(self.hits, 'hit')} in {counted(len(self.files), 'animated picture')} -> {self.path}"]
        if self.others:
            told.append(f"{self.path} also holds {counted(self.others, 'other picture')}, which were there before")
        return told

    def faults(self) -> list[str]:
        """Return a line for each hit that could not be read."""
        return [f"no preview of {hit}: {reason}" for hit, reason in self.failed.items()]

    def __repr__(self) -> str:
        return "\n".join([*self.lines(), *self.faults()])

    def _repr_html_(self) -> str:
        return html_lines([*self.lines(), *self.faults()])


def write_preview(hits: "Sequence[tuple[Hit, str]]", path: Path) -> Preview:
    """Write hits, each with its caption, into one animated WebP, one after the other, or into a file each in a folder.

    A path that ends in .webp is a file; one without an ending, or that of a folder, is a folder. Files that are there
    are replaced. A hit whose video cannot be read is in `failed`, and the others are done. DataError if there is no
    hit, if the path has another ending, or if the place cannot be written to.
    """
    require_name(path)
    is_file = path.suffix.lower() == SUFFIX and not path.is_dir()
    if not hits:
        raise DataError(f"{path}: there is no hit to show; expected one at least")
    if not is_file:
        require_new_folder(path, what="previews")
    most = max(2, min(MOST_FRAMES, ALL_FRAMES // len(hits))) if is_file else MOST_FRAMES
    failed: dict[str, str] = {}
    together: list[Playing] = []
    files: list[Path] = []
    for hit, caption in hits:
        try:
            playing = read_playing(caption, hit.path, start=hit.start, end=hit.end, most=most)
        except DataError as error:
            failed[f"{hit.video_id} from {hit.start or 0:.2f} s"] = str(error)
            continue
        if is_file:
            together.append(playing)
        else:
            files.append(path / f"{stem_of(hit, path)}{SUFFIX}")
            write_animation([playing], files[-1])
    if together:
        files.append(path)
        write_animation(together, path)
    others = 0 if is_file else len({*path.glob(f"*{SUFFIX}")} - {*files})
    return Preview(path, tuple(files), len(together) or len(files), failed, others)


def require_name(path: Path) -> None:
    """Raise DataError if a path has another ending than that of a WebP picture, and is not a folder."""
    if path.suffix and path.suffix.lower() != SUFFIX and not path.is_dir():
        raise DataError(f"{path}: does not have the name of a WebP picture; expected one that ends in .webp")
