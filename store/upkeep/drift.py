"""Drift: how the present files differ from those that a store was made from."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from framebank.store.features import FeatureStore
from framebank.store.ledger import Failure
from framebank.store.upkeep.known_files import known_identities
from framebank.store.videos.identity import Glance, Identity, glance_at, identify_quietly
from framebank.store.videos.manifest import Manifest, Video

READERS = 8  # files that are looked at together: on a network file system each look waits
LOOKS = 64  # that one of them does in a row

Span = tuple[float, float | None]


@dataclass(frozen=True)
class Drift:
    """The changes of the videos of a store, by video_id.

    `changed` videos now have another file under their name than the one they were embedded from, or failed with. For
    `unsure` ones an earlier version kept no identity, and their file is newer than their rows. `moved` gives the new
    video_id of videos whose file is now in another place. `gone` videos have no file any more; those `in_empty_folders`
    lay in a folder that is there and holds nothing, as where a disk is not mounted. The files of `unreadable` ones
    could not be read. `learned` are identities that the store does not hold yet.
    """

    changed: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    in_empty_folders: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    learned: Mapping[str, Identity] = field(default_factory=dict)


def find_drift(
    store: FeatureStore, given: Manifest, *, failures: Iterable[Failure] = (), roots: Collection[Path] = ()
) -> Drift:
    """Return how the videos that are `given` now, below the folders `roots`, differ from what a store holds.

    Each file is checked, and read if it was written since. A video that is not given is gone if its path is below one
    of the roots and has no file; a given video is gone if its path has no file.
    """
    search = _Search(store, given, failures)
    search.compare()
    moved = search.find_moved(_renamed_in_place(store, given, roots=roots, search=search))
    below = [root.absolute() for root in roots]
    gone = [video_id for video_id in search.absent if video_id not in moved and search.is_gone(video_id, below)]
    empty = _hold_nothing(search.video(name).path.parent for name in gone)
    return Drift(
        changed=tuple(name for name in search.changed if name not in moved),
        unsure=tuple(name for name in search.unsure if name not in moved),
        moved=moved,
        gone=tuple(gone),
        in_empty_folders=tuple(name for name in gone if search.video(name).path.parent in empty),
        unreadable=tuple(search.unreadable),
        learned=search.learned,
    )


class _Search:
    """One comparison of a store with the files of today."""

    def __init__(self, store: FeatureStore, given: Manifest, failures: Iterable[Failure]) -> None:
        self.store = store
        self.given = {video.video_id: video for video in given.videos}
        self.old = {video.video_id: video for video in store.manifest.videos}
        self.known = known_identities(store)
        self.failed = {one.video_id: Identity.read(one.source) for one in failures if one.video_id not in store}
        self.changed: list[str] = []
        self.unsure: list[str] = []
        self.absent: list[str] = []
        self.unreadable: list[str] = []
        self.learned: dict[str, Identity] = {}
        self._identities: dict[Path, Identity | None] = {}

    def video(self, name: str) -> Video:
        """Return a video as it is given now, or else as the store has it."""
        return self.given.get(name) or self.old[name]

    def compare(self) -> None:
        """Sort the videos of the store by what is at their paths now."""
        names = list(dict.fromkeys([*self.old, *(name for name in self.given if name in self.store)]))
        videos = [self.video(name) for name in names]
        glances = dict(zip(names, _look(videos), strict=True))
        self._read([video for video in videos if self._must_be_read(video, glances[video.video_id])])
        for video in videos:
            self._sort(video, glances[video.video_id])

    def find_moved(self, renamed: Mapping[str, str]) -> dict[str, str]:
        """Return the new video_id of each embedded video whose file is found at another place, beside `renamed`."""
        lost: dict[tuple[str, Span], list[str]] = defaultdict(list)
        for name in (*self.absent, *self.changed):
            if name in self.store and name in self.old and name in self.known and name not in renamed:
                lost[self.known[name].digest, _span(self.old[name])].append(name)
        sizes = {self.known[name].size for names in lost.values() for name in names}
        come = [video for video in self.given.values() if self._is_new(video.video_id)]
        come = [video for video in come if video.video_id not in renamed.values()]
        looks = zip(come, _look(come), strict=True)
        fitting = [video for video, glance in looks if isinstance(glance, Glance) and glance.size in sizes]
        fitting += [self.given[name] for name in self.changed if name in self.given]
        self._read(fitting)
        moved = dict(renamed)
        for video in fitting:
            identity = self._identities.get(video.path)
            candidates = lost.get((identity.digest, _span(video)), []) if identity else []
            candidates = [name for name in candidates if name != video.video_id]
            if identity and candidates:
                same_name = [name for name in candidates if self.old[name].path.name == video.path.name]
                chosen = (same_name or candidates)[0]
                lost[identity.digest, _span(video)].remove(chosen)
                moved[chosen] = video.video_id
        return _into_free_places(moved, taken=set(self.store))

    def is_gone(self, name: str, roots: Sequence[Path]) -> bool:
        """Whether a video without a file is missed: one that was embedded, or lay below one of the roots."""
        return name in self.store if name in self.given else _is_below(self.old[name].path, roots)

    def is_same(self, name: str, path: Path) -> bool:
        """Whether what lies at a path is what an embedded video was read from, as far as that is known."""
        glance, known = _glance(path), self.known.get(name)
        if not isinstance(glance, Glance):
            return False
        if known is None:
            return not self._is_newer(name, glance)
        self._read([Video(name, path)] if known.glance != glance else [])
        found = self._identities.get(path)
        return known.glance == glance or (found is not None and found.digest == known.digest)

    def _is_new(self, name: str) -> bool:
        return name not in self.store and name not in self.failed

    def _must_be_read(self, video: Video, glance: Glance | OSError | None) -> bool:
        known = self._of(video.video_id)
        if not isinstance(glance, Glance):
            return False
        if known is None:
            return video.video_id in self.store and not self._is_newer(video.video_id, glance)
        return known.size == glance.size and (known.stamp != glance.stamp or self._lies_elsewhere(video))

    def _sort(self, video: Video, glance: Glance | OSError | None) -> None:
        name, known = video.video_id, self._of(video.video_id)
        found = self._identities.get(video.path)
        if isinstance(glance, OSError):
            self.unreadable.append(name)
        elif glance is None:
            self.absent.append(name)
        elif known is None and name in self.store:
            if self._is_newer(name, glance):
                self.unsure.append(name)
            elif found:
                self.learned[name] = found
        elif known and found and found.digest == known.digest:
            if found.glance != known.glance:
                self.learned[name] = found
        elif known and (found or known.glance != glance):
            self.changed.append(name)

    def _lies_elsewhere(self, video: Video) -> bool:
        """Whether a video has another path than before: then size and time alone are not enough."""
        old = self.old.get(video.video_id)
        return old is not None and old.path.absolute() != video.path.absolute()

    def _of(self, name: str) -> Identity | None:
        return self.known.get(name) or self.failed.get(name)

    def _is_newer(self, name: str, glance: Glance) -> bool:
        """Whether a file was written after the rows of its video."""
        return glance.changed_ns > self.store.written_ns(name)

    def _read(self, videos: Iterable[Video]) -> None:
        paths = list(dict.fromkeys(video.path for video in videos if video.path not in self._identities))
        with ThreadPoolExecutor(READERS) as readers:
            self._identities |= zip(paths, readers.map(identify_quietly, paths), strict=True)


def _renamed_in_place(
    store: FeatureStore, given: Manifest, *, roots: Collection[Path], search: _Search
) -> dict[str, str]:
    """Return videos whose file is in its old place, but which the folder now names differently.

    A folder names its files by their paths without the suffix, or with it where two would have one name.
    """
    by_place = {(video.path.absolute(), _span(video)): video.video_id for video in given.videos}
    renamed = {}
    for name, old in search.old.items():
        new = by_place.get((old.path.absolute(), _span(old)))
        if new and name in store and name not in search.given and new not in store:
            usual = {one for root in roots for one in _names_below(root, old.path)}
            if name in usual and new in usual and search.is_same(name, old.path):
                renamed[name] = new
    return renamed


def _names_below(root: Path, path: Path) -> tuple[str, ...]:
    try:
        inside = path.absolute().relative_to(root.absolute())
    except ValueError:
        return ()
    return (inside.as_posix(), inside.with_suffix("").as_posix()) if inside.name else ()


def _into_free_places(moved: dict[str, str], *, taken: set[str]) -> dict[str, str]:
    """Return the moves whose new video_id has no rows, or whose rows move away too."""
    while True:
        kept = {old: new for old, new in moved.items() if new not in taken or new in moved}
        if len(kept) == len(moved):
            return kept
        moved = kept


def _span(video: Video) -> Span:
    return video.start or 0.0, video.end


def _is_below(path: Path, roots: Sequence[Path]) -> bool:
    place = path.absolute()
    return any(root == place or root in place.parents for root in roots)


def _hold_nothing(folders: Iterable[Path]) -> set[Path]:
    """Return the folders that are there and empty, or that are gone themselves and lay in an empty one."""
    return {folder for folder in set(folders) if _is_empty(_nearest_folder(folder))}


def _nearest_folder(folder: Path) -> Path:
    """Return a folder itself, or else the nearest one above it that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _look(videos: Sequence[Video]) -> list[Glance | OSError | None]:
    """Return the identity at the path of each video; an error if it cannot be read."""
    paths = list(dict.fromkeys(video.path for video in videos))
    parts = [paths[start : start + LOOKS] for start in range(0, len(paths), LOOKS)]
    with ThreadPoolExecutor(READERS) as readers:
        found = dict(zip(paths, chain.from_iterable(readers.map(_glances, parts)), strict=True))
    return [found[video.path] for video in videos]


def _glances(paths: Sequence[Path]) -> list[Glance | OSError | None]:
    return [_glance(path) for path in paths]


def _glance(path: Path) -> Glance | OSError | None:
    try:
        return glance_at(path)
    except OSError as error:
        return error
