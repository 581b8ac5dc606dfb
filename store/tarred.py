"""Tarred arrays: WebDataset tars of .npy members as videos, as `store export` writes them."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.tars import find_member, members_of, read_tars, tar_and_member
from framebank.store.video import Video

ARRAY_SUFFIX = ".npy"


def arrays_in_tars(paths: Sequence[Path]) -> tuple[Video, ...]:
    """Return the .npy members of tars as videos, whose path is the tar's joined with the member's name.

    What an export wrote beside a member, KEY.json, tells its id, label and split; where there is none they are as
    `read_tars` has them. DataError as there.
    """
    return tuple(_told(video) for video in read_tars(paths, suffixes=(ARRAY_SUFFIX,)).videos)


def read_tarred(path: Path) -> tuple[np.ndarray, dict[str, Any] | None]:
    """Return the array of a member, and what an export wrote beside it; DataError where the tar has it no more.

    What numpy raises on another file under that name comes through.
    """
    return np.load(io.BytesIO(_read(path)), allow_pickle=False), _about(path)


def parse_about(content: bytes) -> dict[str, Any] | None:
    """Return what an export wrote beside an array; None for the JSON of another program."""
    try:
        about = json.loads(content)
    except ValueError:  # of the encoding, or of JSON
        return None
    return about if isinstance(about, dict) and "framebank" in about else None


def _told(video: Video) -> Video:
    about = _about(video.path)
    if about is None:
        return video
    group = str(about.get("group", ""))
    return Video(str(about["video_id"]), video.path, str(about["label"]), str(about["split"]), group=group)


def _about(path: Path) -> dict[str, Any] | None:
    beside = path.with_suffix(".json")
    tar, member = tar_and_member(beside)
    return parse_about(_read(beside)) if member in members_of(tar) else None


def _read(path: Path) -> bytes:
    tar, member = tar_and_member(path)
    start, size = find_member(tar, member)
    with tar.open("rb") as file:
        file.seek(start)
        return file.read(size)
