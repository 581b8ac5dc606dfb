"""Manifest: the only list of videos; everything else is keyed by their video_id."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files import write_text

COLUMNS = ("video_id", "path", "label", "split")
# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts",
    ".m2ts", ".mts", ".ogv", ".asf", ".vob", ".y4m",
))
# fmt: on
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Video:
    """One row of the manifest. An empty label or split is one that is not known."""

    video_id: str
    path: Path
    label: str = ""
    split: str = ""


@dataclass(frozen=True)
class Manifest:
    """The videos, each with its own video_id."""

    videos: tuple[Video, ...]

    def __post_init__(self) -> None:
        """Check that no video_id stands for two videos."""
        by_id: dict[str, Video] = {}
        for video in self.videos:
            if not _is_utf8(f"{video.video_id}{video.path}"):
                raise DataError(f"{str(video.path)!r}: its name is not UTF-8; rename it")
            other = by_id.setdefault(video.video_id, video)
            if other is not video:
                raise DataError(
                    f"the video_id {video.video_id!r} stands for two videos, {other.path} and {video.path}; "
                    "each needs its own (a manifest CSV can give it)"
                )

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({video.label for video in self.videos if video.label}))

    def split(self, name: str) -> "Manifest":
        """Return the videos of one split ("all" is every video); DataError naming the splits there are."""
        if name == "all":
            return self
        found = Manifest(tuple(video for video in self.videos if video.split == name))
        if not found.videos:
            there = ", ".join(f"{split or 'none'} ({count})" for split, count in sorted(self.split_sizes.items()))
            raise DataError(f"no video is in the split {name!r}; the splits are: {there}, and 'all'")
        return found

    @property
    def split_sizes(self) -> Counter[str]:
        """How many videos each split has; "" counts those in none."""
        return Counter(video.split for video in self.videos)

    def labelled(self) -> "Manifest":
        """Return the videos that have a label; DataError when there is none."""
        found = Manifest(tuple(video for video in self.videos if video.label))
        if not found.videos:
            raise DataError(
                "no video has a label; expected a folder of class folders or a manifest with a label column"
            )
        return found

    def few_shot(self, shots: int, *, seed: int) -> "Manifest":
        """Return `shots` videos of each class, drawn by seed; DataError naming a class that has fewer."""
        generator = np.random.default_rng(seed)
        chosen: list[Video] = []
        for label in self.labels:
            members = [video for video in self.videos if video.label == label]
            if len(members) < shots:
                raise DataError(f"{shots} shots of each class wanted, but {label!r} has {len(members)} training videos")
            chosen += [members[i] for i in sorted(generator.choice(len(members), shots, replace=False))]
        return Manifest(tuple(chosen))

    def held_out(self, fraction: float, *, seed: int) -> tuple["Manifest", "Manifest"]:
        """Split off about `fraction` of each class, at least one of each class with five or more: (rest, held out)."""
        generator = np.random.default_rng(seed)
        held: set[str] = set()
        for label in self.labels:
            members = [video.video_id for video in self.videos if video.label == label]
            share = min(max(1, round(fraction * len(members))), len(members) - 1)
            count = share if len(members) >= 5 and fraction > 0 else 0
            held.update(generator.choice(members, count, replace=False))
        rest = tuple(video for video in self.videos if video.video_id not in held)
        return Manifest(rest), Manifest(tuple(video for video in self.videos if video.video_id in held))

    def merged(self, newer: "Manifest") -> "Manifest":
        """Return these videos with those of `newer` added, rows of the same video_id replaced.

        DataError when a video_id would stand for two files that both exist.
        """
        rows = {video.video_id: video for video in self.videos}
        for video in newer.videos:
            old = rows.get(video.video_id)
            if old and old.path.absolute() != video.path.absolute() and _are_two_files(old.path, video.path):
                raise DataError(f"the video_id {video.video_id!r} is {old.path} in the store and {video.path} now")
            rows[video.video_id] = video
        return Manifest(tuple(rows.values()))

    def with_splits(self, files: Sequence[Path]) -> tuple["Manifest", list[str]]:
        """Return the videos with their split as UCF101's lists give it, and one line on what each list said.

        A list's split is the one its file name begins with ("trainlist01.txt"). Its lines are held against the videos
        by as many folders before the name ("Archery/v_1.avi") as agree for any of them; suffixes of video files do not
        count. DataError when a list names none of the videos or may mean either of two, or two lists the same one.
        """
        split_of: dict[str, str] = {}
        notes = []
        for file in files:
            split = next((split for name, split in SPLIT_NAMES.items() if file.name.lower().startswith(name)), None)
            if split is None:
                raise DataError(f"{file}: its name begins with neither train, val nor test, so its split is not known")
            listed = _read_lines(file)
            found = self._listed([_name_parts(re.sub(r"(\s+\d+)+\s*$", "", line)) for line in listed], where=file)
            if not found:
                raise DataError(f"{file}: none of its {len(listed)} videos is among the {len(self)} given")
            for video_id in found:
                if split_of.setdefault(video_id, split) != split:
                    raise DataError(f"{file}: lists {video_id!r} for {split}, another list for {split_of[video_id]}")
            notes.append(f"{file.name}: {len(listed)} videos listed for {split}, {len(found)} of them given")
        videos = (replace(video, split=split_of.get(video.video_id, "")) for video in self.videos)
        return Manifest(tuple(videos)), notes

    def _listed(self, names: Sequence[tuple[str, ...]], *, where: Path) -> list[str]:
        """Return the video_ids that the listed names mean, by the longest end of their paths that is any video's."""
        own = [(_name_parts(video.path.as_posix()), video) for video in self.videos]
        for depth in range(max(map(len, names), default=0), 0, -1):
            by_end: dict[tuple[str, ...], list[Video]] = {}
            for parts, video in own:
                by_end.setdefault(parts[-depth:], []).append(video)
            found = [(parts, by_end[parts[-depth:]]) for parts in names if parts[-depth:] in by_end]
            for parts, videos in found:
                if len(videos) > 1:
                    raise DataError(
                        f"{where}: {'/'.join(parts)!r} may be {videos[0].path} or {videos[1].path}; "
                        "expected lists with the folders before the names, or a manifest with a split column"
                    )
            if found:
                return [videos[0].video_id for _, videos in found]
        return []

    @classmethod
    def read(cls, sources: Sequence[Path]) -> "Manifest":
        """Read one folder of class folders, one manifest CSV, or video files; DataError saying what was expected."""
        if not sources:
            raise DataError("no videos given; expected a folder, a manifest CSV or video files")
        for source in sources:
            if not source.exists():
                raise DataError(f"{source}: no such file or folder; expected a folder, a manifest CSV or video files")
        if len(sources) == 1 and sources[0].is_dir():
            return cls._from_folder(sources[0])
        if len(sources) == 1 and sources[0].suffix.lower() == ".csv":
            return cls.read_csv(sources[0])
        for source in sources:
            if source.is_dir() or source.suffix.lower() == ".csv":
                raise DataError(
                    f"{source}: given with other sources; expected one folder, one CSV, or only video files"
                )
        return cls(tuple(Video(source.stem, source) for source in sources))

    @classmethod
    def read_csv(cls, path: Path) -> "Manifest":
        """Read a CSV with the columns video_id and path, and optionally label and split; paths are relative to it."""
        reader = csv.DictReader(io.StringIO(_read_text(path), newline=""))
        try:
            for column in COLUMNS[:2]:
                if column not in (reader.fieldnames or ()):
                    got = ", ".join(reader.fieldnames or ()) or "none"
                    raise DataError(f"{path}: no column {column!r} (its columns: {got}); expected {', '.join(COLUMNS)}")
            videos = []
            for row in reader:
                if not row["video_id"] or not row["path"]:
                    raise DataError(f"{path}, line {reader.line_num}: the video_id or the path is empty")
                if row.get("start") or row.get("end"):
                    raise DataError(
                        f"{path}, line {reader.line_num}: a part of a video cannot be embedded yet, only all"
                    )
                location = (path.parent / row["path"]).absolute()
                videos.append(Video(row["video_id"], location, row.get("label") or "", row.get("split") or ""))
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: is not CSV ({error})") from error
        if not videos:
            raise DataError(f"{path}: lists no video")
        try:
            return cls(tuple(videos))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @classmethod
    def _from_folder(cls, folder: Path) -> "Manifest":
        paths = sorted(path for path in _files(folder) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
        if not paths:
            raise DataError(f"{folder}: holds no video file; expected a folder of class folders of videos")
        return cls(tuple(_video_in(folder, path) for path in paths))

    def write(self, path: Path) -> None:
        """Write the CSV that `read_csv` reads, whole or not at all; paths are absolute."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((v.video_id, v.path.absolute(), v.label, v.split) for v in self.videos)
        write_text(path, text.getvalue())


def _video_in(folder: Path, path: Path) -> Video:
    """The label is the folder a video lies in; a first folder named train, val or test is its split."""
    inside = path.relative_to(folder)
    parents: Iterable[str] = inside.parts[:-1]
    split, *rest = [SPLIT_NAMES.get(part.lower(), "") if i == 0 else part for i, part in enumerate(parents)] or [""]
    label = inside.parts[-2] if (rest or (len(inside.parts) > 1 and not split)) else ""
    return Video(inside.with_suffix("").as_posix(), path.absolute(), label, split)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, through links to folders too, but not round a ring of them."""
    for root, folders, names in os.walk(folder, followlinks=True):
        above = {Path(root).resolve(), *Path(root).resolve().parents}
        folders[:] = [name for name in folders if Path(root, name).resolve() not in above]
        yield from (Path(root, name) for name in names)


def _read_text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_two_files(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and not a.samefile(b)


def _name_parts(path: str) -> tuple[str, ...]:
    *folders, name = [part for part in path.strip().split("/") if part] or [""]
    stem, dot, suffix = name.rpartition(".")
    return (*folders, stem if stem and f"{dot}{suffix}".lower() in VIDEO_SUFFIXES else name)


def _read_lines(path: Path) -> list[str]:
    if not path.exists():
        raise DataError(f"{path}: no such split file")
    return [line for line in _read_text(path).splitlines() if line.strip()]
