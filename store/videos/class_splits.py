"""Splits of the classes for few-shot recognition: which are for training and which are new."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from framebank.store.counts import listed
from framebank.store.errors import DataError
from framebank.store.formats.document import MAX_BYTES, Pairs, parse_json
from framebank.store.formats.table import read_table
from framebank.store.formats.text import read_text
from framebank.store.videos.labels import class_text
from framebank.store.videos.lists import read_list
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.split_names import usual_split
from framebank.store.videos.splits import name_classes
from framebank.store.videos.video import SPLIT_NAMES

EXPECTED = (
    "expected JSON of class to split, a CSV with the columns class and split, or official lists of few-shot splits"
)


@dataclass(frozen=True)
class ClassSplits:
    """The split of each class: train, val or test. No class is in two.

    `lists` are the official lists of the split, which also choose the videos; empty if a file names only classes. A
    list without names has numbers of classes ("train8").
    """

    split_of: Mapping[str, str]
    lists: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Check that a split is one, and that two spellings of a class do not contradict each other."""
        for name, split in self.split_of.items():
            if split not in SPLIT_NAMES.values():
                raise DataError(f"the split {split!r} of the class {name!r} is neither train, val nor test")
            if self.by_text[class_text(name)] != split:
                raise DataError(f"the class {name!r} is in two splits, {split} and {self.by_text[class_text(name)]}")

    @cached_property
    def by_text(self) -> dict[str, str]:
        """The split of each class by its text."""
        return {class_text(name): split for name, split in self.split_of.items()}

    def names(self, split: str) -> tuple[str, ...]:
        """Return the classes of one split, sorted."""
        return tuple(sorted(name for name, own in self.split_of.items() if own == split))

    @property
    def sizes(self) -> dict[str, int]:
        """How many classes each split has."""
        return {split: len(self.names(split)) for split in ("train", "val", "test") if self.names(split)}

    @property
    def hash(self) -> str:
        """A hash that changes with the split of any class, but not with spelling or order."""
        return hashlib.blake2b(json.dumps(sorted(self.by_text.items())).encode(), digest_size=6).hexdigest()

    def over(self, manifest: Manifest) -> tuple[Manifest, list[str]]:
        """Return the videos with the split of their class, and lines about what was found.

        Official lists also choose the videos; a video or class that they do not name is in no split. DataError if none
        is named, where a video's label contradicts a list, and where a label would be in two splits.
        """
        if self.lists:
            found, notes = manifest.with_splits(self.lists)
        else:
            found, notes = self._by_class(manifest)
        split_of: dict[str, str] = {}
        for video in found.videos:
            if video.split and split_of.setdefault(class_text(video.label), video.split) != video.split:
                raise DataError(
                    f"the class {video.label!r} is in two splits, {split_of[class_text(video.label)]} and {video.split}"
                )
        return found, notes

    def _by_class(self, manifest: Manifest) -> tuple[Manifest, list[str]]:
        there = {class_text(name) for name in manifest.labels}
        missing = [name for name in self.split_of if class_text(name) not in there]
        if len(missing) == len(self.split_of):
            raise DataError(f"none of the {len(missing)} classes of the split ({missing[0]!r}, ...) has a video")
        videos = tuple(
            replace(video, split=self.by_text.get(class_text(video.label), "") if video.label else "")
            for video in manifest.videos
        )
        notes = [f"{len(missing)} of {len(self.split_of)} classes have no video: {listed(missing, most=3)}"]
        return Manifest(videos), notes if missing else []


def read_class_splits(paths: Sequence[Path]) -> ClassSplits:
    """Read one JSON object of class to split, one CSV with the columns class and split, or official few-shot lists.

    Lists are given as files or as the folder that has them (the CMN, ARN, OTAM and CMN-J splits of CLIP-FSAR's
    repository). DataError if a file is none of these, or a class is in two splits.
    """
    files = [file for path in paths for file in (sorted(path.glob("*.txt")) if path.is_dir() else [path])]
    if not files:
        where = listed(paths) if paths else "no file"
        raise DataError(f"{where}: holds no list of a class split; {EXPECTED}")
    tables = [file for file in files if file.suffix.lower() in (".json", ".csv")]
    if not tables:
        return _from_lists(files)
    if len(files) > 1:
        raise DataError(f"{tables[0]}: given with other files; {EXPECTED}")
    pairs = _json_pairs(files[0]) if files[0].suffix.lower() == ".json" else _csv_pairs(files[0])
    return _whole(pairs, where=files[0])


def _from_lists(files: Sequence[Path]) -> ClassSplits:
    pairs = []
    for file in files:
        rows = name_classes(read_list(file), None, where=file)
        if not all(row.split and re.fullmatch(rf"{row.split}\d+", "".join(row.codes)) for row in rows):
            raise DataError(f"{file}: is not a list of a class split; {EXPECTED}")
        pairs += list(dict.fromkeys((row.label or row.codes[0], row.split) for row in rows))
    return replace(_whole(pairs, where=files[-1]), lists=tuple(files))


def _json_pairs(path: Path) -> list[tuple[str, str]]:
    found = parse_json(read_text(path, most=MAX_BYTES), where=path, expected=EXPECTED, pairs=True)
    pairs = found.pairs if isinstance(found, Pairs) else []
    if not pairs or not all(isinstance(split, str) for _, split in pairs):
        raise DataError(f"{path}: is not an object of class to split; {EXPECTED}")
    return pairs


def _csv_pairs(path: Path) -> list[tuple[str, str]]:
    table = read_table(path, wanted=("class", "split"))
    if not {"class", "split"} <= set(table.columns):
        got = listed(table.columns, most=10)
        raise DataError(f"{path}: has no columns class and split (its columns: {got}); {EXPECTED}")
    return [(row.cells["class"], row.cells["split"]) for row in table.rows]


def _whole(pairs: Sequence[tuple[str, str]], *, where: Path) -> ClassSplits:
    split_of: dict[str, str] = {}
    for name, given in pairs:
        split = usual_split(given)
        if not name.strip():
            raise DataError(f"{where}: a class has no name")
        if split_of.setdefault(name, split) != split:
            raise DataError(f"{where}: the class {name!r} is in two splits, {split_of[name]} and {split}")
    if not split_of:
        raise DataError(f"{where}: names no class; {EXPECTED}")
    try:
        return ClassSplits(split_of)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
