"""Folders of videos: files, folders of frames, or tars, as far down as they lie."""

import os
from collections.abc import Iterator
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.tars import is_tar, videos_in_tar
from framebank.store.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Video, split_and_label


def videos_in_folder(folder: Path) -> tuple[Video, ...]:
    """Return the videos below a folder: its video files, its leaf folders of images, or the members of its tars.

    The label is the folder a video lies in; a first folder named train, val or test is its split. A folder that itself
    holds the frames is one video without a label. Images beside videos are no frames. DataError where there is none,
    or where there are videos of more than one kind.
    """
    files = sorted(path for path in _files(folder) if path.suffix and path.is_file())
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    tars = [path for path in files if is_tar(path)]
    frames = _frame_folders(files, videos)
    kinds = {"video file": videos, "tar": tars, "folder of frames": frames}
    there = [(kind, paths[0]) for kind, paths in kinds.items() if paths]
    if not there:
        raise DataError(
            f"{folder}: holds no video file; expected a folder of class folders of videos or of folders of frames, "
            "or a folder of tars"
        )
    if len(there) > 1:
        (one, a), (other, b) = there[:2]
        raise DataError(f"{folder}: holds the {one} {a} and the {other} {b}; expected videos of one kind")
    if tars:
        return tuple(video for path in tars for video in videos_in_tar(path))
    return tuple(_video_in(folder, path, is_file=bool(videos)) for path in videos or frames)


def _frame_folders(files: list[Path], videos: list[Path]) -> list[Path]:
    """The folders with images that have no video in them or below; DataError where frames lie above frames."""
    of_videos = {above for path in videos for above in path.parents}
    folders = {path.parent for path in files if path.suffix.lower() in IMAGE_SUFFIXES} - of_videos
    for path in sorted(folders):
        inner = next((above for above in path.parents if above in folders), None)
        if inner:
            raise DataError(f"{inner}: holds images beside the folder of frames {path}; expected frames in one of them")
    return sorted(folders)


def _video_in(folder: Path, path: Path, *, is_file: bool) -> Video:
    inside = path.relative_to(folder)
    split, label = split_and_label(inside.parts[:-1])
    name = (inside.with_suffix("") if is_file else inside).as_posix() if inside.parts else path.absolute().name
    return Video(name, path.absolute(), label, split)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, through links to folders too, but not round a ring of them."""
    for root, folders, names in os.walk(folder, followlinks=True):
        above = {Path(root).resolve(), *Path(root).resolve().parents}
        folders[:] = [name for name in folders if Path(root, name).resolve() not in above]
        yield from (Path(root, name) for name in names)
