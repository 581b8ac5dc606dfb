"""Adoption: take the shards of part stores, which workers filled, into the store by renaming them."""

import contextlib
import shutil
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from framebank.store.features import FeatureStore
from framebank.store.files.lock import Lock
from framebank.store.files.place import clear_store
from framebank.store.files.replacing import sync
from framebank.store.ledger import Failure, Ledger
from framebank.store.reader import Contents, ShardReader
from framebank.store.shard import shard_paths
from framebank.store.upkeep.rewrite import change_store, drop_videos

PARTS = "parts"  # the folder of the part stores in a store
SIGN = "run-"  # a file in it; when the run is over, the file is removed, and the workers stop


def part_name(run: str, number: int, attempt: int) -> str:
    """Return the name of the part store that a worker of a run fills."""
    return f"slice-{run}-{number:05d}-{attempt}"


@dataclass(frozen=True)
class Adopted:
    """The content of one part: the number of rows of each embedded video, and the failures."""

    rows: dict[str, int]
    failures: dict[str, Failure]

    def reason(self, video_id: str) -> str:
        """Return why a video failed, or nothing."""
        return self.failures[video_id].reason if video_id in self.failures else ""


class Adopter:
    """Take part stores into a store; the caller holds the lock of its writer.

    Only complete shards are taken, and a shard with its final name is complete even if its worker died. A video that
    the store has already is not taken again, unless the part read another file: then its rows replace the older ones. A
    failure of a video that the store has is not listed, unless the video is `refreshed`. After a kill at any moment,
    the next adopter goes on.
    """

    def __init__(self, folder: Path, *, held: FeatureStore | None = None, refreshed: Container[str] = ()) -> None:
        self.folder = folder
        self._refreshed = refreshed
        self._held: Container[str] = held if held is not None else ()
        self._sources: Mapping[str, str] = held.sources if held is not None else {}
        self._ledger = Ledger(folder / "failed.csv")
        self._failed = {failure.video_id for failure in self._ledger.read()}
        self._taken: set[str] = set()  # by this adopter
        self._number = max((_number(path) for path in shard_paths(folder)), default=-1) + 1

    def adopt(self, part: Path) -> Adopted:
        """Move a part's shards here, add its failures to the ledger, remove it, and return what it gave.

        A missing folder gives nothing. DataError if a shard is damaged, or made in another way than the store.
        """
        rows: dict[str, int] = {}
        for path in shard_paths(part):
            rows |= self._move(path)
        failures = {}
        for failure in Ledger(part / "failed.csv").read():
            there = self._has(failure.video_id) and failure.video_id not in self._refreshed
            if not there and failure.video_id not in rows and failure.video_id not in self._failed:
                self._ledger.add(failure)
                self._failed.add(failure.video_id)
            failures[failure.video_id] = failure
        shutil.rmtree(part, ignore_errors=True)  # a later run takes in what a dying worker still writes there
        return Adopted(rows, {name: failure for name, failure in failures.items() if name not in rows})

    def _move(self, path: Path) -> dict[str, int]:
        with ShardReader(path) as reader:
            contents, sources = reader.contents, reader.sources
        self._require_alike(contents, path)
        rows = {
            video_id: end - start
            for video_id, start, end in zip(contents.ids, (0, *contents.ends[:-1]), contents.ends, strict=True)
        }
        newer = {name for name in contents.ids if self._is_newer(name, sources[name])}
        double = [n for n, name in enumerate(contents.ids) if self._has(name) and name not in newer]
        if double:
            drop_videos(path, double)
        if len(double) < len(rows):
            name = f"shard-{self._number:05d}.h5"
            if newer:
                change_store(self.folder, dropped=newer, shards={name: path})
            else:
                path.rename(self.folder / name)
                sync(self.folder)
            self._number += 1
        if self._failed & rows.keys():
            self._ledger.forget(rows.keys())
            self._failed -= rows.keys()
        self._taken.update(rows)
        return rows

    def _require_alike(self, contents: Contents, path: Path) -> None:
        first = next(iter(shard_paths(self.folder)), None) if not self._taken else None
        if first:  # one check is enough: a run makes all its parts in the same way
            with ShardReader(first) as reader:
                reader.contents.spec.require_equal(contents.spec, mine=self.folder, theirs=path)

    def _is_newer(self, video_id: str, source: str) -> bool:
        """Whether a part read another file of a video than the store did: it was told to, as the file had changed."""
        known = self._sources.get(video_id, "")
        return bool(source) and video_id in self._held and video_id not in self._taken and source != known

    def _has(self, video_id: str) -> bool:
        return video_id in self._held or video_id in self._taken


def adopt_leftovers(folder: Path) -> None:
    """Take in what an earlier run on a cluster left in STORE/parts; every extraction does this before it plans.

    DataError if another process writes to the store, or as `Adopter.adopt`.
    """
    if not (folder / PARTS).is_dir() or not (folder / "writer.lock").exists():
        return
    with Lock(folder / "writer.lock"):
        clear_store(folder)
        take_parts(folder)


def shards_of_parts(folder: Path) -> list[Path]:
    """Return the shards in the part stores that a run left in STORE/parts."""
    return [path for part in sorted((folder / PARTS).glob("slice-*")) for path in shard_paths(part)]


def take_parts(folder: Path) -> None:
    """Adopt every part in STORE/parts, where the caller holds the store's lock."""
    parts = sorted(path for path in (folder / PARTS).glob("slice-*") if path.is_dir())
    for sign in (folder / PARTS).glob(f"{SIGN}*"):  # a worker that outlived its run sees that, and stops
        sign.unlink(missing_ok=True)
    if parts:
        adopter = Adopter(folder, held=FeatureStore(folder) if shard_paths(folder) else None)
        for part in parts:
            adopter.adopt(part)
    remove_parts_folder(folder)


def remove_parts_folder(folder: Path) -> None:
    """Remove STORE/parts if nothing is left in it."""
    with contextlib.suppress(OSError):  # it holds a file of the user's, or of a worker that is dying
        (folder / PARTS).rmdir()


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("shard-"))
