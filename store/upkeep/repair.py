"""Repair: move what is broken in a store aside, so that extraction finds it missing and makes it again."""

import filecmp
import itertools
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framebank.store.files.lock import Lock
from framebank.store.files.place import clear_store
from framebank.store.files.replacing import replacing, require_new_folder, sync, undoing
from framebank.store.reader import Contents, ShardReader
from framebank.store.shard import Embeddings, shard_paths
from framebank.store.upkeep.adoption import shards_of_parts
from framebank.store.upkeep.rewrite import change_shards
from framebank.store.upkeep.verify import Fault, check_shard, require_store, verify_store


@dataclass(frozen=True)
class Repair:
    """What was moved aside, and what is left.

    `moved` are the shards now in STORE/broken/, `dropped` the videos whose rows were removed from other shards (with a
    copy in broken/), `to_extract` the listed videos without rows, and `left` the faults that the user must repair.
    """

    moved: tuple[Path, ...]
    dropped: tuple[str, ...]
    to_extract: tuple[str, ...]
    left: tuple[Fault, ...]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Own a store while its shards are changed; DataError if it is not a store, or another process writes to it."""
    require_store(folder)
    with Lock(folder / "writer.lock"):
        clear_store(folder)
        yield


def repair_store(folder: Path) -> Repair:
    """Move aside what is broken: whole shards, or single videos that are not finite or are stored twice.

    A shard that cannot be read, or whose checksums are wrong, is moved to `broken/`, because nobody knows which of its
    videos are damaged. So is such a shard in a part store that a run on a cluster left. A shard with bad videos is
    copied there, and written again without them. If a video is stored twice with the same rows, one copy is kept; if
    the rows differ, neither is, because nobody knows which is right. Nothing is deleted. DataError if the folder is not
    a store, another process writes to it, or it cannot be written to.
    """
    with writing(folder):
        moved, bad = _sort_out(folder)
        moved += _broken_in_parts(folder)  # it would stop every extraction before it begins
        broken = folder / "broken"
        if moved or bad:
            require_new_folder(broken, what="broken shards")
        dropped = []
        for path, positions in bad.items():
            with ShardReader(path) as reader:
                dropped += [reader.contents.ids[position] for position in sorted(positions)]
        for path in (*moved, *bad):
            _keep(path, broken)
        if moved or bad:
            change_shards(folder, bad, removed=[path for path in moved if path.parent == folder])
        for path in moved:  # those of part stores are still there
            with undoing(None, of=path):
                path.unlink(missing_ok=True)
        after = verify_store(folder)
    return Repair(tuple(moved), tuple(dropped), after.to_extract, after.faults)


def _sort_out(folder: Path) -> tuple[list[Path], dict[Path, set[int]]]:
    """Return the shards that are broken, and the positions of the videos to drop from the others."""
    moved: list[Path] = []
    bad: dict[Path, set[int]] = defaultdict(set)
    whole: dict[Path, Contents] = {}
    for path in shard_paths(folder):
        contents, faults, _ = check_shard(path)
        if any(fault.hurts == "shard" for fault in faults):
            moved.append(path)
            continue
        if contents is None:  # it could not be looked at; verify says why
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
    windows = np.zeros(0) if one.windows is None else one.windows
    return [one.data, one.timestamps, one.indices, one.views, one.clips, windows, *streams, mean]


def _keep(path: Path, broken: Path) -> None:
    """Have a shard in `broken` too, beside what earlier repairs left: shard-00000.h5, shard-00000.h5.1, ..."""
    names = itertools.chain([path.name], (f"{path.name}.{number}" for number in itertools.count(1)))
    for place in (broken / name for name in names):
        if not place.exists():
            break
        if _is_same(place, path):  # of a repair that was killed
            return
    try:
        os.link(path, place)
        sync(broken)
    except OSError:  # the file system has no links
        with replacing(place) as part:
            shutil.copy2(path, part)


def _is_same(place: Path, path: Path) -> bool:
    try:
        return place.samefile(path) or filecmp.cmp(place, path, shallow=False)
    except OSError:  # it cannot be read
        return False
