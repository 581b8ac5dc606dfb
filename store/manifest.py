"""Manifest: the only list of videos; everything else is keyed by their video_id."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files import write_text
from framebank.store.folders import videos_in_folder
from framebank.store.lists import read_text
from framebank.store.splits import CHARADES_CLASSES, charades_segments, with_lists
from framebank.store.tars import is_tar, tar_and_member, videos_in_tar
from framebank.store.video import Video as Video

COLUMNS = ("video_id", "path", "label", "split")
TIMES = ("start", "end")
LIST_SUFFIXES = (".txt", ".json")


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
        """The labels that occur, sorted; each by itself where a video has several."""
        return tuple(sorted({label for video in self.videos for label in video.labels}))

    def require_single_labels(self) -> None:
        """Refuse videos with several labels where each needs one: DataError naming the first of them."""
        several = next((video for video in self.videos if len(video.labels) > 1), None)
        if several:
            raise DataError(
                f"{several.video_id!r} has {len(several.labels)} labels, {several.label!r}; expected one for each video"
            )

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

    def shard(self, number: int, count: int) -> "Manifest":
        """Return every `count`-th video from the `number`-th on, counted from 1; DataError where there is none."""
        if number > len(self):
            raise DataError(f"shard {number} of {count} holds none of the {len(self)} videos; expected fewer shards")
        return Manifest(self.videos[number - 1 :: count])

    def labelled(self) -> "Manifest":
        """Return the videos that have a label; DataError when there is none."""
        found = Manifest(tuple(video for video in self.videos if video.label))
        if not found.videos:
            raise DataError(
                "no video has a label; expected a folder of class folders or a manifest with a label column"
            )
        return found

    def few_shot(self, shots: int, *, seed: int) -> "Manifest":
        """Return `shots` videos of each class, drawn by seed; DataError naming a class that has fewer.

        DataError too where a video has several labels.
        """
        self.require_single_labels()
        generator = np.random.default_rng(seed)
        chosen: list[Video] = []
        for label in self.labels:
            members = [video for video in self.videos if video.labels == (label,)]
            if len(members) < shots:
                raise DataError(
                    f"{counted(shots, 'shot')} of each class wanted, but {label!r} has "
                    f"{counted(len(members), 'training video')}"
                )
            chosen += [members[i] for i in sorted(generator.choice(len(members), shots, replace=False))]
        return Manifest(tuple(chosen))

    def held_out(self, fraction: float, *, seed: int) -> tuple["Manifest", "Manifest"]:
        """Split off about `fraction` of each class, at least one of each class with five or more: (rest, held out).

        Where videos have several labels, `fraction` of the videos, but never the last one of a class.
        """
        generator = np.random.default_rng(seed)
        if any(len(video.labels) > 1 for video in self.videos):
            return self._held_out_of_several(round(fraction * len(self)), generator)
        held: set[str] = set()
        for label in self.labels:
            members = [video.video_id for video in self.videos if video.labels == (label,)]
            share = min(max(1, round(fraction * len(members))), len(members) - 1)
            count = share if len(members) >= 5 and fraction > 0 else 0
            held.update(generator.choice(members, count, replace=False))
        return self._without(held)

    def _held_out_of_several(self, count: int, generator: np.random.Generator) -> tuple["Manifest", "Manifest"]:
        left = Counter(label for video in self.videos for label in video.labels)
        held: set[str] = set()
        for place in generator.permutation(len(self)).tolist():
            video = self.videos[place]
            if len(held) < count and all(left[label] > 1 for label in video.labels):
                held.add(video.video_id)
                left.subtract(video.labels)
        return self._without(held)

    def _without(self, held: set[str]) -> tuple["Manifest", "Manifest"]:
        rest = tuple(video for video in self.videos if video.video_id not in held)
        return Manifest(rest), Manifest(tuple(video for video in self.videos if video.video_id in held))

    def merged(self, newer: "Manifest") -> "Manifest":
        """Return these videos with those of `newer` added, rows of the same video_id replaced.

        Where `newer` gives no video a label, or none a split, those that are there stay: a folder given again without
        its lists loses nothing. DataError when a video_id would stand for two files that both exist, or for two parts
        of a video.
        """
        rows = {video.video_id: video for video in self.videos}
        silent = [name for name in ("label", "split") if not any(getattr(video, name) for video in newer.videos)]
        for video in newer.videos:
            old = rows.get(video.video_id)
            if old and old.path.absolute() != video.path.absolute() and _are_two_files(old.path, video.path):
                raise DataError(f"the video_id {video.video_id!r} is {old.path} in the store and {video.path} now")
            if old and (old.start or 0.0, old.end) != (video.start or 0.0, video.end):
                raise DataError(f"the video_id {video.video_id!r} is {old.span} in the store and {video.span} now")
            rows[video.video_id] = replace(video, **{name: getattr(old, name) for name in silent}) if old else video
        return Manifest(tuple(rows.values()))

    def with_splits(self, files: Sequence[Path]) -> tuple["Manifest", list[str]]:
        """Return the videos with what official lists say of them, and lines on what each list said (`with_lists`)."""
        videos, notes = with_lists(self.videos, files)
        return Manifest(videos), notes

    def with_actions(self, files: Sequence[Path]) -> tuple["Manifest", list[str]]:
        """Return a video for each action in lists of Charades, and a line for each list (`charades_segments`).

        The classes are those of Charades_v1_classes.txt among the files, or beside each list.
        """
        given = [file for file in files if file.name == CHARADES_CLASSES]
        videos: list[Video] = []
        notes = []
        for file in [file for file in files if file not in given]:
            found = charades_segments(
                self.videos, file, classes=given[0] if given else file.with_name(CHARADES_CLASSES)
            )
            notes.append(f"{file.name}: {counted(len(found), 'action')}")
            videos += found
        return Manifest(tuple(videos)), notes

    @classmethod
    def read(cls, given: str | Path | Sequence[str | Path]) -> "Manifest":
        """Read one folder (of videos, of folders of frames, or of tars), one manifest CSV, video files, or tars.

        DataError saying what was expected.
        """
        sources = [Path(source) for source in ([given] if isinstance(given, str | Path) else given)]
        if not sources:
            raise DataError("no videos given; expected a folder, a manifest CSV, video files or tars")
        stray = next((source for source in sources if source.suffix.lower() in LIST_SUFFIXES), None)
        if stray:  # also what a shell makes of a pattern behind --split-file
            raise DataError(f"{stray}: is no video; a list goes to --split-file, several as a pattern in quotes")
        for source in sources:
            if not source.exists():
                raise DataError(f"{source}: no such file or folder; expected a folder, a manifest CSV or video files")
        if len(sources) == 1 and sources[0].is_dir():
            return cls(videos_in_folder(sources[0]))
        if len(sources) == 1 and sources[0].suffix.lower() == ".csv":
            return cls.read_csv(sources[0])
        tars = [source for source in sources if is_tar(source) and source.is_file()]
        for source in sources:
            if source.is_dir() or source.suffix.lower() == ".csv" or (source not in tars and tars):
                raise DataError(
                    f"{source}: given with other sources; expected one folder, one CSV, only video files or only tars"
                )
        if tars:
            return cls(tuple(video for tar in tars for video in videos_in_tar(tar)))
        return cls(tuple(Video(source.stem, source) for source in sources))

    @classmethod
    def read_csv(cls, path: str | Path) -> "Manifest":
        """Read a CSV with the columns video_id and path, and optionally label, split, start and end (seconds).

        Paths are relative to it; a row without start and end is the whole video. DataError with the line.
        """
        path = Path(path)
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        try:
            for column in COLUMNS[:2]:
                if column not in (reader.fieldnames or ()):
                    got = ", ".join(reader.fieldnames or ()) or "none"
                    raise DataError(
                        f"{path}: no column {column!r} (its columns: {got}); expected {', '.join(COLUMNS + TIMES)}"
                    )
            videos = [_video_of(row, where=f"{path}, line {reader.line_num}", folder=path.parent) for row in reader]
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: is not CSV ({error})") from error
        if not videos:
            raise DataError(f"{path}: lists no video")
        try:
            return cls(tuple(videos))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def write(self, path: str | Path) -> None:
        """Write the CSV that `read_csv` reads, whole or not at all; paths are absolute.

        The columns start and end are there when a video has one.
        """
        path = Path(path)
        timed = any(video.start is not None or video.end is not None for video in self.videos)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*COLUMNS, *TIMES) if timed else COLUMNS)
        for v in self.videos:
            writer.writerow((v.video_id, v.path.absolute(), v.label, v.split, *([v.start, v.end] if timed else [])))
        write_text(path, text.getvalue())


def _video_of(row: dict[str, str | None], *, where: str, folder: Path) -> Video:
    if not row["video_id"] or not row["path"]:
        raise DataError(f"{where}: the video_id or the path is empty")
    times = []
    for column in TIMES:
        text = (row.get(column) or "").strip()
        try:
            times.append(float(text) if text else None)
        except ValueError as error:
            raise DataError(f"{where}: the {column} {text!r} is not a number of seconds") from error
    location = (folder / row["path"]).absolute()
    try:
        return Video(row["video_id"], location, row.get("label") or "", row.get("split") or "", *times)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_two_files(a: Path, b: Path) -> bool:
    (file_a, member_a), (file_b, member_b) = tar_and_member(a), tar_and_member(b)
    if not (file_a.exists() and file_b.exists()):
        return False
    return member_a != member_b or not file_a.samefile(file_b)
