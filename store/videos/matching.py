"""Matching: which videos a name in a list means: those with the longest common end of the path."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from framebank.store.errors import DataError
from framebank.store.videos.lists import ListedVideo
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import VIDEO_SUFFIXES, Video

Key = TypeVar("Key")


def match(rows: Sequence[ListedVideo], videos: Sequence[Video], *, where: Path) -> list[tuple[ListedVideo, Video]]:
    """Return each row with each video that it means: those with the longest common end of the path.

    A row means all parts of its file. DataError if a row may mean either of two files, or if no row means a video.
    """
    ends = Ends(videos)
    found = ends.match({row: row.key for row in rows}, where=where)
    matched = {row for row, _ in found}
    found += ends.match({row: row.other_key for row in rows if row.other_key and row not in matched}, where=where)
    if not found:
        examples = (
            f"the first in the list is {rows[0].key!r}, the first given {str(ends.path_of[videos[0]])!r}"
            if rows and videos
            else ""
        )
        raise DataError(f"{where}: none of its {len(rows)} videos is among the {len(videos)} given; {examples}")
    return found


def name_parts(path: str) -> tuple[str, ...]:
    """Return the folders and the name of a path, the name without the suffix of a video file.

    If there is no slash, backslashes separate folders, as on Windows.
    """
    text = nfc(path.strip())
    text = text.replace("\\", "/") if "/" not in text else text
    *folders, name = [part for part in text.split("/") if part] or [""]
    stem, dot, suffix = name.rpartition(".")
    return (*folders, stem if stem and f"{dot}{suffix}".lower() in VIDEO_SUFFIXES else name)


class Ends:
    """Videos by the ends of their paths: the name, the name with the folder before it, and so on."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self.path_of = _paths_of(videos)
        self._own = [(name_parts(self.path_of[video].as_posix()), video) for video in videos]
        self._by_depth: dict[int, dict[tuple[str, ...], list[Video]]] = {}

    def match(self, names: Mapping[ListedVideo, str], *, where: Path) -> list[tuple[ListedVideo, Video]]:
        """Return each row with each video that its name means; DataError if that may be either of two files."""
        found = []
        for row, meant in self._deepest({row: name_parts(name) for row, name in names.items()}):
            alike = self._of_suffix(meant, names[row])
            paths = list(dict.fromkeys(self.path_of[video] for video in alike))
            if len(paths) > 1:
                raise DataError(
                    f"{where}: {'/'.join(name_parts(names[row]))!r} may be {paths[0]} or {paths[1]}; "
                    "expected lists with the folders before the names, or a manifest with a split column"
                )
            found += [(row, video) for video in alike]
        return found

    def paths_of(self, names: Iterable[str]) -> frozenset[Path]:
        """Return the paths of the videos that names mean."""
        found = self._deepest({name: name_parts(name) for name in names})
        return frozenset(self.path_of[video] for _, meant in found for video in meant)

    def _deepest(self, keys: Mapping[Key, tuple[str, ...]]) -> list[tuple[Key, list[Video]]]:
        """The keys that mean videos, by as many folders before the name as agree for any of them."""
        for depth in range(max(map(len, keys.values()), default=0), 0, -1):
            ends = self._at(depth)
            found = [(key, ends[parts[-depth:]]) for key, parts in keys.items() if parts[-depth:] in ends]
            if found:
                return found
        return []

    def _at(self, depth: int) -> dict[tuple[str, ...], list[Video]]:
        if depth not in self._by_depth:
            by_end: dict[tuple[str, ...], list[Video]] = {}
            for parts, video in self._own:
                by_end.setdefault(parts[-depth:], []).append(video)
            self._by_depth[depth] = by_end
        return self._by_depth[depth]

    def _of_suffix(self, videos: list[Video], name: str) -> list[Video]:
        """The videos whose file has the suffix of the name, if there are any: "IMG_1.mov" is not IMG_1.mp4."""
        suffix = PurePosixPath(name.strip().replace("\\", "/")).suffix.lower()
        alike = [video for video in videos if self.path_of[video].suffix.lower() == suffix]
        return alike if suffix in VIDEO_SUFFIXES and alike else videos


def _paths_of(videos: Sequence[Video]) -> dict[Video, Path]:
    """Return the path that a list can name, of each. Whole videos that were imported from one file use their ids."""
    wholes = [video for video in videos if video.start is None and video.end is None]
    counts = Counter(video.path for video in wholes)
    by_id = {video: Path(video.video_id) for video in wholes if counts[video.path] > 1}
    return {video: by_id.get(video, video.path) for video in videos}
