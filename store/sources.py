"""Sources: what a user points at to give videos: a folder, a manifest CSV or video files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.video import VIDEO_SUFFIXES, Video

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
EXPECTED = "expected a folder, a manifest CSV or video files"


def read_sources(sources: Sequence[Path]) -> tuple[Video, ...]:
    """Return the videos of one folder of class folders, or of video files.

    The label of a video is the folder it lies in; a first folder named train, val or test is its split. DataError
    saying what was expected.
    """
    if not sources:
        raise DataError(f"no videos given; {EXPECTED}")
    for source in sources:
        if not source.exists():
            raise DataError(f"{source}: no such file or folder; {EXPECTED}")
    if len(sources) == 1 and sources[0].is_dir():
        return _in_folder(sources[0])
    for source in sources:
        if source.is_dir() or source.suffix.lower() == ".csv":
            raise DataError(f"{source}: given with other sources; expected one folder, one CSV, or only video files")
    return tuple(Video(source.stem, source) for source in sources)


def _in_folder(folder: Path) -> tuple[Video, ...]:
    paths = sorted(path for path in _files(folder) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"{folder}: holds no video file; expected a folder of class folders of videos")
    return tuple(_video_in(folder, path) for path in paths)


def _video_in(folder: Path, path: Path) -> Video:
    inside = path.relative_to(folder)
    label, split = label_and_split(inside.parts[:-1])
    return Video(inside.with_suffix("").as_posix(), path.absolute(), label, split)


def label_and_split(folders: Sequence[str]) -> tuple[str, str]:
    """Return the label and the split that the folders above a video tell; empty where they tell none."""
    split = SPLIT_NAMES.get(folders[0].lower(), "") if folders else ""
    classes = folders[1:] if split else folders
    return (classes[-1] if classes else ""), split


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, through links to folders too, but not round a ring of them."""
    for root, folders, names in os.walk(folder, followlinks=True):
        above = {Path(root).resolve(), *Path(root).resolve().parents}
        folders[:] = [name for name in folders if Path(root, name).resolve() not in above]
        yield from (Path(root, name) for name in names)
