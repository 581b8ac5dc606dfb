"""What this user's processes remember of how stores differ from their indexes; best effort, as in `remembered`.

To compare an index of 240,000 videos with its store takes seconds. The answer stays the same until a file of the store
or the index is written, which their sizes and times tell.
"""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.document import Fields, parse_json
from framebank.store.formats.remembered import cache_folder
from framebank.store.indexes.origin import Difference, Origin, compare, stamps_of
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.video import Video

FORM = 1  # of what is remembered
MOST = 100  # differences; of more, the oldest go
LARGEST = 1 << 25  # bytes; a larger difference is not kept
LISTS = ("joined", "left", "changed", "relabelled")


def compare_known(origin: Origin, videos: VideoColumns, *, digest: str) -> Difference | None:
    """Return what `compare` returns of an index of this digest; from what is remembered, if nothing was written since.

    An index that has no digest is compared each time.
    """
    stamps = stamps_of(origin.store)
    if stamps is None or not digest or stamps == (origin.manifest, dict(origin.shards)):
        return compare(origin, videos)
    marks = zlib.crc32(origin.marks.tobytes(), zlib.crc32(origin.shard_of.tobytes()))
    key = _key_of(digest, origin.to_dict(), marks, stamps)
    found = recall_difference(key, origin.store)
    if found is None:
        found = compare(origin, videos)
        if found is not None and stamps_of(origin.store) == stamps:
            keep_difference(key, found)
    return found


def _key_of(*told: Any) -> str:
    """Return a short name for plain values that decide a difference."""
    return hashlib.blake2b(json.dumps(told, sort_keys=True, default=dict).encode(), digest_size=16).hexdigest()


def recall_difference(key: str, store: Path) -> Difference | None:
    """Return the difference that was kept under a key; None if there is none, or it cannot be read."""
    folder = cache_folder("differences")
    try:
        content = (folder / key).read_bytes() if folder else b""
        found = Fields.of(parse_json(content, where=key), where=key)
        moved, videos = found.fields("moved"), found.fields("videos")
        if found.values["form"] != FORM:
            return None
        return Difference(
            store,
            moved={name: moved.text(name) for name in moved.values},
            videos={name: _video_of(*row) for name, row in videos.values.items()},
            **{name: found.texts(name) for name in LISTS},
        )
    except (DataError, OSError, ValueError, TypeError, KeyError):
        return None


def keep_difference(key: str, difference: Difference) -> None:
    """Keep a difference under a key, if there is a place for it."""
    folder = cache_folder("differences")
    values: Mapping[str, Any] = {
        "form": FORM,
        **{name: getattr(difference, name) for name in LISTS},
        "moved": dict(difference.moved),
        "videos": {
            name: [video.video_id, str(video.path), video.label, video.split, video.start, video.end]
            for name, video in difference.videos.items()
        },
    }
    content = json.dumps(values).encode()
    if folder is None or len(content) > LARGEST:
        return
    with contextlib.suppress(OSError):
        if not folder.parents[1].is_dir():  # a missing home is not made
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = folder / f"{key}.{os.getpid()}.part"
        part.write_bytes(content)
        part.replace(folder / key)
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)[:-MOST]:
            entry.unlink(missing_ok=True)


def _video_of(video_id: str, path: str, label: str, split: str, start: float | None, end: float | None) -> Video:
    return Video(video_id, Path(path), label, split, start, end)
