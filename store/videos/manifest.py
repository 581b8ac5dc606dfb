"""Manifest: the only list of videos; everything else is keyed by their video_id."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn
from framebank.store.files.replacing import write_text
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.draws import draw_held_out, draw_shots
from framebank.store.videos.inputs import read_videos
from framebank.store.videos.split_names import split_among
from framebank.store.videos.splits import CHARADES_CLASSES, charades_segments, with_lists
from framebank.store.videos.tars import tar_and_member
from framebank.store.videos.video import Video as Video
from framebank.store.videos.video import labels_in, require_own_ids
from framebank.store.videos.videos_csv import COLUMNS as COLUMNS
from framebank.store.videos.videos_csv import TIMES as TIMES
from framebank.store.videos.videos_csv import read_videos_csv, videos_csv_text


class Manifest:
    """The videos, each with its own video_id; they are not changed.

    `columns` holds them; `videos` are made of it when they are asked for, which takes ten times the memory.
    """

    def __init__(self, videos: Sequence[Video]) -> None:
        """Check that no video_id stands for two videos; DataError."""
        if not isinstance(videos, VideoColumns):
            require_own_ids(videos)
            self.__dict__["videos"] = tuple(videos)
        self.columns = VideoColumns.of(videos)

    @cached_property
    def videos(self) -> tuple[Video, ...]:
        """The videos, in their order."""
        return tuple(self.columns)

    @property
    def ids(self) -> Sequence[str]:
        """The video_ids, in their order."""
        return self.columns.ids

    def __len__(self) -> int:
        return len(self.columns)

    def __eq__(self, other: object) -> bool:
        return self.videos == other.videos if isinstance(other, Manifest) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.videos)

    def __repr__(self) -> str:
        return f"Manifest({counted(len(self), 'video')})"

    def select(self, rows: Iterable[int]) -> "Manifest":
        """Return the videos of some rows, in their order."""
        return Manifest(self.columns.select(rows))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted; if a video has several, each counts."""
        return tuple(sorted({label for written in set(self.columns.labels) for label in labels_in(written)}))

    def require_single_labels(self) -> None:
        """Refuse videos with several labels if each video needs one: DataError that names the first."""
        several = {label for label in set(self.columns.labels) if len(labels_in(label)) > 1}
        if several:
            row = next(row for row, label in enumerate(self.columns.labels) if label in several)
            video = self.columns[row]
            raise DataError(
                f"{video.video_id!r} has {len(video.labels)} labels, {video.label!r}; expected one for each video"
            )

    def split_named(self, name: str) -> str:
        """Return the split here that a name means (`split_among`): "validation" is "val"."""
        return name if name == "all" else split_among(name, self.split_sizes)

    def split(self, name: str) -> "Manifest":
        """Return the videos of the split that a name means; of "all", every video. DataError names the splits."""
        if name == "all":
            return self
        name = self.split_named(name)
        found = self.select(row for row, split in enumerate(self.columns.splits) if split == name)
        if not len(found):
            sizes = sorted(self.split_sizes.items())
            there = listed((f"{split or 'none'} ({count})" for split, count in sizes), most=10)
            raise DataError(f"no video is in the split {name!r}; the splits are: {there}, and 'all'")
        return found

    @property
    def split_sizes(self) -> Counter[str]:
        """How many videos each split has; "" counts those in none."""
        return Counter(self.columns.splits)

    def shard(self, number: int, count: int) -> "Manifest":
        """Return every `count`-th video from the `number`-th on, counted from 1; DataError if there is none."""
        if number > len(self):
            raise DataError(f"shard {number} of {count} has none of the {len(self)} videos; expected fewer shards")
        return Manifest(self.columns[number - 1 :: count])

    def of_ids(self, video_ids: Sequence[str]) -> tuple[Video, ...]:
        """Return the videos of these ids, in their order; KeyError for one that is not there."""
        row_of = {video_id: row for row, video_id in enumerate(self.ids)}
        videos: Sequence[Video] | VideoColumns = self.__dict__.get("videos") or self.columns  # made before, or made now
        return tuple(videos[row_of[video_id]] for video_id in video_ids)

    def labelled(self) -> "Manifest":
        """Return the videos that have a label; DataError when there is none."""
        if all(self.columns.labels) and len(self):
            return self
        found = self.select(row for row, label in enumerate(self.columns.labels) if label)
        if not len(found):
            raise DataError(
                "no video has a label; expected a folder of class folders or a manifest with a label column"
            )
        return found

    def few_shot(self, shots: int, *, seed: int) -> "Manifest":
        """Return `shots` videos of each class, drawn by seed, from different groups if a class has enough.

        DataError that names a class with fewer videos, or a video with several labels.
        """
        self.require_single_labels()
        return Manifest(draw_shots(self.videos, shots, seed=seed))

    def held_out(self, fraction: float, *, seed: int) -> tuple["Manifest", "Manifest"]:
        """Split off about `fraction` of each class: (rest, held out); no group is divided (`draw_held_out`)."""
        held = draw_held_out(self.videos, fraction, seed=seed)
        pairs = list(zip(self.videos, held, strict=True))
        return Manifest(tuple(v for v, out in pairs if not out)), Manifest(tuple(v for v, out in pairs if out))

    def with_ids_of(self, known: "Manifest") -> "Manifest":
        """Return the videos, each file under the id that it has in `known`, if the two ids differ only in the suffix.

        "run/a.mp4" is called "run/a" until "run/a.mov" lies beside it, and then "run/a.mp4".
        """
        ids = {_place(video): video.video_id for video in known.videos}
        own = {video.video_id for video in self.videos}
        videos = []
        for video in self.videos:
            before = ids.get(_place(video), video.video_id)
            suffix = video.path.suffix
            alike = (suffix and before + suffix == video.video_id) or video.video_id + suffix == before
            videos.append(replace(video, video_id=before) if alike and before not in own else video)
        return Manifest(tuple(videos))

    def with_splits_of(self, known: "Manifest", *, where: object) -> "Manifest":
        """Return the videos with the names of splits that `known` has for them; a DataWarning says so.

        A store of an earlier version goes on with "validation" if a list says "val". No two splits become one.
        """
        own, there = self.split_sizes, known.split_sizes
        named = {split: split_among(split, there) for split in own}
        meant = Counter(named.values())
        newer = {split: old for split, old in named.items() if old != split and meant[old] == 1}
        if not newer:
            return self
        told = " and ".join(f"{split!r} stays {old!r}" for split, old in sorted(newer.items()))
        warn(f"{where}: has its own names of splits: {told}; `framebank store relabel --column split` renames one")
        return Manifest(tuple(replace(v, split=newer.get(v.split, v.split)) for v in self.videos))

    def merged(self, newer: "Manifest") -> "Manifest":
        """Return these videos with those of `newer` added, rows of the same video_id replaced.

        If no video of `newer` has a label, the existing labels stay, and so do splits, groups and extra columns: a
        folder that is given again without its lists loses nothing. DataError if a video_id would stand for two existing
        files, or for two parts of a video.
        """
        rows = {video.video_id: video for video in self.videos}
        silent = [
            name
            for name in ("label", "split", "group", "extra")
            if not any(getattr(video, name) for video in newer.videos)
        ]
        for video in newer.videos:
            old = rows.get(video.video_id)
            if old and old.path.absolute() != video.path.absolute() and _are_two_files(old.path, video.path):
                raise DataError(f"the video_id {video.video_id!r} is {old.path} in the store and {video.path} now")
            if old and (old.start or 0.0, old.end) != (video.start or 0.0, video.end):
                raise DataError(
                    f"the video_id {video.video_id!r} is {old.span} in the store and {video.span} now; give the new "
                    "part another video_id, or remove the old one by `framebank store rm` first"
                )
            rows[video.video_id] = replace(video, **{name: getattr(old, name) for name in silent}) if old else video
        return Manifest(tuple(rows.values()))

    def with_splits(self, files: Sequence[Path]) -> tuple["Manifest", list[str]]:
        """Return the videos with what official lists say about them, and lines about each list (`with_lists`)."""
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
        """Read one folder, one CSV, video files, or tars (`read_videos`, which also says what is left out).

        DataError saying what was expected.
        """
        sources = [Path(source) for source in ([given] if isinstance(given, str | Path) else given)]
        return cls(read_videos(sources).videos)

    @classmethod
    def read_csv(cls, path: str | Path) -> "Manifest":
        """Read a CSV of videos (`read_videos_csv`); DataError with the line."""
        return cls(read_videos_csv(Path(path)))

    def write(self, path: str | Path) -> None:
        """Write the CSV that `read_csv` reads, completely or not at all."""
        write_text(Path(path), self.text())

    def text(self) -> str:
        """Return the CSV that `read_csv` reads; paths are absolute."""
        return videos_csv_text(self.videos)


def _place(video: Video) -> tuple[str, float, float | None]:
    return str(video.path.absolute()), video.start or 0.0, video.end


def _are_two_files(a: Path, b: Path) -> bool:
    (file_a, member_a), (file_b, member_b) = tar_and_member(a), tar_and_member(b)
    if not (file_a.exists() and file_b.exists()):
        return False
    return member_a != member_b or not file_a.samefile(file_b)
