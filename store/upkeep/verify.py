"""Verdict on a store: read every shard in full and compare it with its checksums, the spec and the lists."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from framebank.store.errors import DataError, PlaceError
from framebank.store.files.replacing import current
from framebank.store.formats.description import DIGEST
from framebank.store.formats.eight_bits import tail
from framebank.store.ledger import Ledger
from framebank.store.reader import STREAMS, Contents, ShardReader
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.adoption import shards_of_parts
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.spelling import nfc


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, in a sentence that names the file.

    `hurts` is what is lost with it: a whole shard, only the videos in `video_ids`, copies of them, or only an agreement
    between files, which the user must repair.
    """

    path: Path
    problem: str
    hurts: Literal["shard", "videos", "copies", "store"]
    video_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a store holds and what is wrong with it.

    `unchecked` is what has no checksum ("shard-00000.h5 streams/frame", "shard-00000.h5 its attributes"): no fault,
    shards of earlier versions have none of their attributes.
    `to_extract` are the listed videos that are neither embedded nor failed.
    """

    num_shards: int
    num_videos: int
    num_failed: int
    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...]
    to_extract: tuple[str, ...]


def verify_store(folder: Path) -> Verdict:
    """Read all of a store, one dataset at a time, and return what is wrong with it; DataError if it is not a store."""
    require_store(folder)
    faults: list[Fault] = []
    unchecked: list[str] = []
    held: dict[str, Path] = {}
    first: tuple[Path, FeatureSpec] | None = None
    paths = shard_paths(folder)
    for path in paths:
        contents, found, without = check_shard(path)
        faults += found
        unchecked += [f"{path.name} {name}" for name in without]
        if contents is None:
            continue
        first = first or (path, contents.spec)
        faults += _other_spec(path, contents.spec, first)
        double = [video_id for video_id in contents.ids if held.setdefault(video_id, path) != path]
        faults += [
            Fault(path, f"{path}: holds {video_id!r}, which {held[video_id].name} holds too", "copies", (video_id,))
            for video_id in double
        ]
    for path in shards_of_parts(folder):
        faults += [fault for fault in check_shard(path)[1] if fault.hurts == "shard"]
    manifest = current(folder, "manifest.csv")
    listed = _read(manifest, lambda path: [v.video_id for v in Manifest.read_csv(path).videos], faults)
    failed = _read(folder / "failed.csv", lambda path: [f.video_id for f in Ledger(path).read()], faults) or []
    if listed is not None:
        names = set(listed)
        strange = {video_id for video_id in held if video_id not in names and nfc(video_id) not in names}
        faults += [
            Fault(path, f"{path}: holds {video_id!r}, which manifest.csv does not list", "store", (video_id,))
            for video_id, path in held.items()
            if video_id in strange
        ]
    known = {*held, *map(nfc, held), *failed}
    to_extract = tuple(video_id for video_id in listed or () if video_id not in known)
    return Verdict(len(paths), len(held), len(set(failed)), tuple(faults), tuple(unchecked), to_extract)


def require_store(folder: Path) -> None:
    """Refuse a folder that no extraction wrote; DataError."""
    if not folder.is_dir() or not (shard_paths(folder) or (folder / "writer.lock").exists()):
        raise DataError(f"{folder}: no such store; expected a folder made by `framebank extract`")


def check_shard(path: Path) -> tuple[Contents | None, list[Fault], list[str]]:
    """Return the spec of a shard (None if it cannot be read), its faults, and its datasets without a checksum."""
    try:
        with ShardReader(path, anew=True) as reader:
            contents = reader.contents
            faults, unchecked = [*_double_ids(reader)], [] if DIGEST in reader.attributes else ["its attributes"]
            for name, form in reader.forms.items():
                try:
                    faults += _not_finite(path, name, reader.whole(name), contents)
                except DataError as error:
                    faults.append(Fault(path, str(error), "shard"))
                if not form.digest:
                    unchecked.append(name)
    except PlaceError as error:  # nothing is known of it
        return None, [Fault(path, str(error), "store")], []
    except DataError as error:
        return None, [Fault(path, str(error), "shard")], []
    return contents, faults, unchecked


def _double_ids(reader: ShardReader) -> Iterator[Fault]:
    counts = Counter(reader.contents.ids)
    for video_id in (video_id for video_id, count in counts.items() if count > 1):
        yield Fault(reader.path, f"{reader.path}: holds {video_id!r} twice", "copies", (video_id,))


def _not_finite(path: Path, name: str, values: Any, contents: Contents) -> Iterator[Fault]:
    """Yield a fault for each video with a value that is infinite or not a number."""
    if isinstance(values, np.ndarray) and name.removeprefix(STREAMS) in contents.spec.packed_streams:
        values = tail(values)  # (..., 3)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or not values.ndim:
        return
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))  # rows, or videos
    if not name.startswith("video_streams/"):
        bad = np.searchsorted(contents.ends, bad, side="right")
    for position in np.unique(bad[bad < len(contents.ids)]):
        video_id = contents.ids[position]
        yield Fault(path, f"{path}: {name} of {video_id!r} holds values that are not finite", "videos", (video_id,))


def _other_spec(path: Path, spec: FeatureSpec, first: tuple[Path, FeatureSpec]) -> Iterator[Fault]:
    try:
        first[1].require_equal(spec, mine=first[0], theirs=path)
    except DataError as error:
        yield Fault(path, str(error), "store")


def _read(path: Path, read: Callable[[Path], list[str]], faults: list[Fault]) -> list[str] | None:
    """Return the video_ids of a list, or None and add a fault."""
    try:
        return read(path)
    except DataError as error:
        faults.append(Fault(path, str(error), "store"))
        return None
