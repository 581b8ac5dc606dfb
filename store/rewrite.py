"""Shards without some of their videos: written again whole, under the same name, or not at all."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.reader import DAMAGE, ShardReader
from framebank.store.shard import write_datasets


def drop_videos(path: Path, positions: Collection[int]) -> None:
    """Write a shard again without the videos at these positions; remove it where none is left.

    Every other value stays bit for bit, also in datasets and attributes that are not known here. Whoever holds the
    lock of the store may call it; readers that have it open keep the file they have. DataError where the shard cannot
    be read, or its place not written to.
    """
    with ShardReader(path) as reader:
        contents = reader.contents
        keep = np.ones(len(contents.ids), dtype=np.bool_)
        keep[list(positions)] = False
        lengths = np.diff(contents.ends, prepend=0)
        by_row = np.repeat(keep, lengths)
        try:
            datasets: dict[str, Any] = {}
            for name in reader.names:
                values = reader.whole(name)
                if name == "end":
                    datasets[name] = np.cumsum(lengths[keep])
                elif isinstance(values, list):
                    datasets[name] = [value for value, kept in zip(values, keep, strict=True) if kept]
                else:
                    datasets[name] = values[keep if name.startswith("video_streams/") else by_row]
            attributes = dict(reader.file.attrs)
        except (*DAMAGE, IndexError) as error:
            raise DataError(f"{path}: is damaged ({error}); `framebank store repair` sets it aside") from error
    if keep.any():
        write_datasets(path, datasets, attributes)
    else:
        path.unlink()
