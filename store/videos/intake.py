"""Intake: the videos in what a user gave, and the files that are left out, by reason."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from framebank.store.counts import counted, listed
from framebank.store.videos.video import Video

BESIDE = "picture beside videos"
NO_SUFFIX = "no suffix"


@dataclass(frozen=True)
class Intake:
    """The videos, and the files that are left out, by reason.

    A reason is a suffix that is not one of a video (".gif"), or words: "hidden", "dangling link", "no suffix",
    "not a regular file", "picture beside videos".
    """

    videos: tuple[Video, ...]
    not_taken: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many files are left out for each reason, the most frequent first."""
        return sorted_counts(self.not_taken)

    @property
    def files(self) -> dict[str, list[str]]:
        """The paths of the files that are left out, by reason, as text that can be printed."""
        return {reason: [printable(path) for path in self.not_taken[reason]] for reason in self.counts}

    def told(self) -> str:
        """Return one line on what is not taken: "not taken: 3 files: 2 .gif, 1 hidden"; "" where there is nothing."""
        return told_of_videos(self.not_taken)


def told_of_videos(not_taken: Mapping[str, tuple[Path, ...]]) -> str:
    """Return one line on the files that are not taken as videos, "" where there are none."""
    counts = sorted_counts(not_taken)
    unknown = any(is_suffix(reason) for reason in counts)
    return told(counts) + ("; --any-suffix takes those that are videos by content" if unknown else "")


def told(counts: Mapping[str, int]) -> str:
    """Return "not taken: 3 files: 2 .gif, 1 hidden" for the number of files of each reason; "" for none."""
    if not counts:
        return ""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    shown = listed((f"{count} {reason}" for reason, count in ordered), most=15)
    return f"not taken: {counted(sum(counts.values()), 'file')}: {shown}"


def sorted_counts(not_taken: Mapping[str, tuple[Path, ...]]) -> dict[str, int]:
    """Return how many files each reason has, the most frequent first."""
    counts = [(reason, len(paths)) for reason, paths in not_taken.items()]
    return dict(sorted(counts, key=lambda one: (-one[1], one[0])))


def is_suffix(reason: str) -> bool:
    """Whether the reason is that the suffix of a file is not one of a video, or that it has none."""
    return reason.startswith(".") or reason == NO_SUFFIX


def suffix_reason(name: str) -> str:
    """Return the suffix of a file's name as the reason why it is not taken."""
    return Path(name).suffix.lower() or NO_SUFFIX


def joined(parts: Iterable[Mapping[str, tuple[Path, ...]]]) -> dict[str, tuple[Path, ...]]:
    """Return the files of several mappings of reason to files, together."""
    found: dict[str, tuple[Path, ...]] = {}
    for part in parts:
        for reason, paths in part.items():
            found[reason] = (*found.get(reason, ()), *paths)
    return found


def by_reason(pairs: Iterable[tuple[str, Path]]) -> dict[str, tuple[Path, ...]]:
    """Return (reason, file) pairs as a mapping of reason to files."""
    found: dict[str, list[Path]] = {}
    for reason, path in pairs:
        found.setdefault(reason, []).append(path)
    return {reason: tuple(paths) for reason, paths in found.items()}


def printable(path: Path) -> str:
    """Return a path as text that any terminal and JSON can hold, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
