"""Divided: the videos of a store, split by the official lists of a protocol, and the numbers that the lists have."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framebank.heads.evaluation.named import ListedSplit
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.videos.lists import list_files, read_list
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.matching import match, name_parts

SIDES = {"train": ("train",), "test": ("test", "val")}  # some lists call the test videos val


@dataclass(frozen=True)
class OfficialSplit:
    """The store with the split of each video from the lists, and how many videos the lists have for each split."""

    store: FeatureStore
    train_listed: int
    test_listed: int


def divide(store: FeatureStore, split: ListedSplit, *, lists: Path) -> OfficialSplit:
    """Split the videos of a store by the lists of one split, which are in the folder `lists`.

    DataError if a list is missing, has another number of videos than the protocol says, or names none of the store's
    videos, or if a video is in both splits.
    """
    split_of: dict[str, str] = {}
    videos = store.manifest.videos
    counts = {"train": 0, "test": 0}
    wanted = {"train": (split.train, split.train_videos), "test": (split.test, split.test_videos)}
    for side, (names, number) in wanted.items():
        if not names:
            continue
        files = first_there(names, lists)
        rows = [row for file in files for row in read_list(file) if row.split in SIDES[side]]
        counts[side] = len(rows)
        if number and len(rows) != number:
            raise DataError(
                f"{files[0]}: lists {counted(len(rows), 'video')} for {side}; the protocol says {number}; expected the "
                "official lists"
            )
        ids = [video.video_id for _, video in match(rows, videos, where=files[0])]
        both = next((video_id for video_id in ids if split_of.setdefault(video_id, side) != side), None)
        if both is not None:
            raise DataError(f"{files[0]}: lists {both!r} to test on, which is trained on too; expected it on one side")
    divided = FeatureStore(store.path)
    divided.manifest = Manifest(
        tuple(replace(video, split=split_of.get(video.video_id, "")) for video in store.manifest.videos)
    )
    return OfficialSplit(divided, counts["train"], counts["test"])


def of_train_and_test(store: FeatureStore) -> FeatureStore:
    """Return the store with its splits train and test alone: its other videos are in no split."""
    found = FeatureStore(store.path)
    kept = ("train", "test")
    found.manifest = Manifest(
        tuple(video if video.split in kept else replace(video, split="") for video in store.manifest.videos)
    )
    return found


def first_there(names: tuple[str, ...], lists: Path) -> list[Path]:
    """Return the files of the first name that is in the folder `lists`. DataError if none is."""
    for name in names:
        if any(lists.glob(name)):
            return list_files([lists / name])
    none = "none of" if len(names) > 1 else "no"
    raise DataError(f"{lists}: holds {none} {listed(names)}; expected the folder of the official lists")


def hash_of_lists(files: Sequence[Path]) -> str:
    """Return a hash of the videos and classes that lists name, whatever their order and the folders before the names.

    DataError if a file is not a list.
    """
    rows = sorted([*row.codes, row.split, name_parts(row.key)[-1]] for file in files for row in read_list(file))
    return hashlib.blake2b(json.dumps(rows).encode(), digest_size=6).hexdigest()
