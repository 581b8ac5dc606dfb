"""Tarred arrays: WebDataset tars of .npy members as videos, as `store export` writes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framebank.store.errors import DataError
from framebank.store.formats.document import Fields, parse_json
from framebank.store.formats.npy import parse_npy
from framebank.store.videos.tars import find_member, members_of, read_tars, tar_and_member
from framebank.store.videos.video import Video

ARRAY_SUFFIX = ".npy"


def arrays_in_tars(paths: Sequence[Path]) -> tuple[Video, ...]:
    """Return the .npy members of tars as videos, whose path is the tar's joined with the member's name.

    What an export wrote beside a member, KEY.json, tells its id, label and split; where there is none they are as
    `read_tars` has them. DataError as there.
    """
    return tuple(_told(video) for video in read_tars(paths, suffixes=(ARRAY_SUFFIX,)).videos)


def read_tarred(path: Path) -> tuple[np.ndarray, Fields | None]:
    """Return the array of a member, and what an export wrote beside it; DataError if it is not an array any more."""
    return parse_npy(_read(path), where=path), _about(path)


def parse_about(content: bytes, *, where: Path) -> Fields | None:
    """Return what an export wrote beside an array; None for the JSON of another program."""
    try:
        about = parse_json(content, where=where)
    except DataError:
        return None
    return Fields(about, where) if isinstance(about, dict) and "framebank" in about else None


def _told(video: Video) -> Video:
    about = _about(video.path)
    return video if about is None else told_video(about, video.path)


def told_video(about: Fields, path: Path) -> Video:
    """Return the video of an array at a path, from what an export wrote beside it. DataError if a value is wrong."""
    said = about.fields("extra") if "extra" in about else None
    extra = tuple((name, said.text(name)) for name in said.values) if said else ()
    group = about.text("group", default="")
    return Video(about.text("video_id"), path, about.text("label"), about.text("split"), group=group, extra=extra)


def _about(path: Path) -> Fields | None:
    beside = path.with_suffix(".json")
    tar, member = tar_and_member(beside)
    return parse_about(_read(beside), where=beside) if member in members_of(tar) else None


def _read(path: Path) -> bytes:
    tar, member = tar_and_member(path)
    start, size = find_member(tar, member)
    with tar.open("rb") as file:
        file.seek(start)
        return file.read(size)
