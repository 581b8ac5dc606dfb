"""Repair: what is broken in a store is set aside, so that extraction finds it missing and does it again."""

import itertools
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framebank.store.adoption import shards_of_parts
from framebank.store.errors import DataError
from framebank.store.files import finish_moves, require_new_folder, sync
from framebank.store.lock import Lock
from framebank.store.reader import Contents, ShardReader
from framebank.store.rewrite import drop_videos
from framebank.store.shard import Embeddings, shard_paths
from framebank.store.verify import Fault, check_shard, require_store, verify_store


@dataclass(frozen=True)
class Repair:
    """What was set aside, and what is left.

    `moved` are the shards now in STORE/broken/, `dropped` the videos whose rows were taken out of the others (what they
    were lies in broken/ too), `to_extract` the videos that are listed and not there, `left` the faults that are the
    user's to mend.
    """

    moved: tuple[Path, ...]
    dropped: tuple[str, ...]
    to_extract: tuple[str, ...]
    left: tuple[Fault, ...]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Own a store while its shards are changed; DataError where it is no store, or another process writes to it."""
    require_store(folder)
    lock = Lock(folder / "writer.lock")
    lock.acquire()
    try:
        finish_moves(folder)
        yield
    finally:
        lock.release()


def repair_store(folder: Path) -> Repair:
    """Set aside what is broken: whole shards, or single videos that are not finite or stand twice.

    A shard that cannot be read, or whose checksums do not hold, is moved to `broken/`: which of its videos are hurt
    cannot be known. So is one in a part store that a run on a cluster left. A shard with bad videos is copied there,
    and written again without them. Of a video that stands twice with the same rows one is kept; with different rows
    neither, as nothing tells which is right. Nothing is deleted. DataError where the folder is no store, another
    process writes to it, or it cannot be written to.
    """
    with writing(folder):
        moved, bad = _sort_out(folder)
        moved += _broken_in_parts(folder)  # it would stop every extraction before it begins
        broken = folder / "broken"
        if moved or bad:
            require_new_folder(broken, what="broken shards")
        for path in moved:
            _move(path, broken)
        dropped = []
        for path, positions in bad.items():
            with ShardReader(path) as reader:
                dropped += [reader.contents.ids[position] for position in sorted(positions)]
            _copy(path, broken)
            drop_videos(path, positions)
        after = verify_store(folder)
    return Repair(tuple(moved), tuple(dropped), after.to_extract, after.faults)


def _sort_out(folder: Path) -> tuple[list[Path], dict[Path, set[int]]]:
    """Return the shards that are broken, and the positions of the videos to drop from the others."""
    moved: list[Path] = []
    bad: dict[Path, set[int]] = defaultdict(set)
    whole: dict[Path, Contents] = {}
    for path in shard_paths(folder):
        contents, faults, _ = check_shard(path)
        if contents is None or any(fault.hurts == "shard" for fault in faults):
            moved.append(path)
            continue
        whole[path] = contents
        hurt = {video_id for fault in faults if fault.hurts == "videos" for video_id in fault.video_ids}
        bad[path] |= {position for position, video_id in enumerate(contents.ids) if video_id in hurt}
    counts = Counter(video_id for contents in whole.values() for video_id in contents.ids)
    places = defaultdict(list)
    for path, contents in whole.items():
        for position, video_id in enumerate(contents.ids):
            if counts[video_id] > 1 and position not in bad[path]:
                places[video_id].append((path, position))
    for copies in places.values():
        for path, position in copies[1:] if _agree(copies) else copies:
            bad[path].add(position)
    return moved, {path: positions for path, positions in bad.items() if positions}


def _broken_in_parts(folder: Path) -> list[Path]:
    """Return the shards that cannot be read, or lost their checksums, in the part stores of a run that is over."""
    return [path for path in shards_of_parts(folder) if any(fault.hurts == "shard" for fault in check_shard(path)[1])]


def _agree(copies: list[tuple[Path, int]]) -> bool:
    first, *others = (_read(path, position) for path, position in copies)
    return all(same_rows(first, other) for other in others)


def _read(path: Path, position: int) -> Embeddings:
    with ShardReader(path) as reader:
        return reader.video(position)


def same_rows(a: Embeddings, b: Embeddings) -> bool:
    """Whether two readings of a video are the same to the bit, in every column and stream."""
    return set(a.streams) == set(b.streams) and all(
        np.array_equal(left, right) for left, right in zip(_columns(a), _columns(b), strict=True)
    )


def _columns(one: Embeddings) -> list[np.ndarray]:
    streams = [one.streams[name] for name in sorted(one.streams)]
    mean = np.zeros(0) if one.patch_mean is None else one.patch_mean
    return [one.data, one.timestamps, one.indices, one.views, one.clips, *streams, mean]


def _move(path: Path, broken: Path) -> None:
    try:
        path.rename(_free_name(broken, path.name))
        sync(path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be moved to {broken}: {error.strerror}") from error


def _copy(path: Path, broken: Path) -> None:
    copy = _free_name(broken, path.name)
    try:
        shutil.copy2(path, copy)
        sync(copy)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be copied to {broken}: {error.strerror}") from error


def _free_name(folder: Path, name: str) -> Path:
    """Return a place beside what earlier repairs left: shard-00000.h5, shard-00000.h5.1, ..."""
    names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(1)))
    return next(folder / one for one in names if not (folder / one).exists())
