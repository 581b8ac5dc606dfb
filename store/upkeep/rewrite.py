"""Write shards again: without some of their videos, or with other video_ids for them."""

import shutil
from collections.abc import Collection, Mapping
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files.replacing import remove_together, replacing_together
from framebank.store.formats.sealed import write_datasets
from framebank.store.reader import MEND, ShardReader
from framebank.store.shard import shard_paths
from framebank.store.videos.spelling import nfc


def drop_videos(path: Path, positions: Collection[int]) -> None:
    """Write a shard again without the videos at these positions; remove it if no video is left.

    Every other value stays bit for bit, also in datasets that are not known here, and in attributes that are one text
    or number. The caller holds the lock of the store; readers that have the shard open keep their file. DataError if
    the shard cannot be read, or its place not written to.
    """
    if not _write_without(path, path, positions, {}):
        path.unlink()


def change_store(
    folder: Path,
    *,
    dropped: Collection[str] = (),
    renamed: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    shards: Mapping[str, Path] | None = None,
) -> None:
    """Change the shards of a store and the files beside them together: all of it is done, or nothing.

    Videos in `dropped` lose their rows, those in `renamed` get new video_ids, `texts` are files by their name (one
    without text goes), and `shards` are files to copy as new ones, by their name there. Whoever holds the lock of the
    store may call it. DataError as `drop_videos`.
    """
    dropped, renamed = set(map(nfc, dropped)), {nfc(old): new for old, new in (renamed or {}).items()}
    touched = positions_in(folder, {*dropped, *renamed})
    gone = {path: [at for at, name in ids.items() if name in dropped] for path, ids in touched.items()}
    with replacing_together(folder) as part:
        _rewrite(part, gone, renamed)
        for name, source in (shards or {}).items():
            shutil.copyfile(source, part / name)
        for name, text in (texts or {}).items():
            if text:
                (part / name).write_text(text, encoding="utf-8")
            elif (folder / name).exists():
                remove_together(part, name)


def change_shards(folder: Path, gone: Mapping[Path, Collection[int]], *, removed: Collection[Path]) -> None:
    """Drop the videos at some positions of the shards of a store, and whole shards, as `change_store`."""
    with replacing_together(folder) as part:
        _rewrite(part, gone, {})
        for path in removed:
            remove_together(part, path.name)


def _rewrite(part: Path, gone: Mapping[Path, Collection[int]], renamed: Mapping[str, str]) -> None:
    for path, positions in gone.items():
        if not _write_without(path, part / path.name, positions, renamed):
            remove_together(part, path.name)


def positions_in(folder: Path, video_ids: Collection[str]) -> dict[Path, dict[int, str]]:
    """Return the shards that hold any of these videos: their places in each, and which video each is."""
    found: dict[Path, dict[int, str]] = {}
    for path in shard_paths(folder) if video_ids else ():
        with ShardReader(path) as reader:
            ids = [
                nfc(video_id) for video_id in reader.contents.ids
            ]  # an earlier version may have written another form
        hits = {position: video_id for position, video_id in enumerate(ids) if video_id in video_ids}
        if hits:
            found[path] = hits
    return found


def _write_without(path: Path, out: Path, positions: Collection[int], renamed: Mapping[str, str]) -> bool:
    """Write a shard to `out` without some videos, others renamed; write nothing and return False if none is left."""
    with ShardReader(path) as reader:
        contents = reader.contents
        keep = np.ones(len(contents.ids), dtype=np.bool_)
        keep[list(positions)] = False
        lengths = np.diff(contents.ends, prepend=0)
        by_row = np.repeat(keep, lengths)
        datasets: dict[str, Any] = {"end": np.cumsum(lengths[keep])}
        for name in (name for name in reader.forms if name != "end"):
            values = reader.whole(name)
            of_videos = isinstance(values, list) or name.startswith("video_streams/")
            kept = keep if of_videos else by_row
            if np.shape(values)[:1] != kept.shape:
                raise DataError(f"{path}: {name} has the shape {np.shape(values)}, expected {len(kept)} rows; {MEND}")
            datasets[name] = list(compress(values, keep)) if isinstance(values, list) else values[kept]
        attributes = {name: value for name, value in reader.attributes.items() if value is not None}
    if not keep.any():
        return False
    datasets["video_id"] = [renamed.get(nfc(video_id), video_id) for video_id in datasets["video_id"]]
    write_datasets(out, datasets, attributes)
    return True
