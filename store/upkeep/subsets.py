"""Parts of a store: the manifests of subsets, and all about one video."""

from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError, near_names
from framebank.store.features import FeatureStore
from framebank.store.formats.eight_bits import row_shape
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN
from framebank.store.videos.manifest import Manifest


def parts_by(manifest: Manifest, column: str, out: Path) -> dict[Path, Manifest]:
    """Return the videos of each split or label, by the folder OUT/NAME; those without one are "none".

    DataError if a name cannot be a folder's, or one is "none" itself beside videos without.
    """
    names = {getattr(video, column) for video in manifest.videos}
    for name in sorted(names):
        if "/" in name or name in (".", "..") or (name == "none" and "" in names):
            raise DataError(f"the {column} {name!r} cannot be the name of a folder; rename it in the manifest.csv")
    return {
        out / (name or "none"): Manifest(tuple(v for v in manifest.videos if getattr(v, column) == name))
        for name in sorted(names)
    }


def parts_listed(store: FeatureStore, listed: Path, out: Path) -> dict[Path, Manifest]:
    """Return the videos that a file lists, one video_id for each line; DataError that names the first missing one."""
    try:
        lines = [line.strip() for line in listed.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{listed}: cannot be read as a list of video_ids: {error}") from error
    wanted = {line for line in lines if line}
    if not wanted:
        raise DataError(f"{listed}: lists no video; expected one video_id for each line")
    known = {video.video_id for video in store.manifest.videos}
    for video_id in (line for line in lines if line and line not in known):
        raise DataError(f"{listed}: lists {video_id!r}; {_unknown(store, video_id)}")
    return {out: Manifest(tuple(video for video in store.manifest.videos if video.video_id in wanted))}


def describe_video(store: FeatureStore, video_id: str) -> dict[str, Any]:
    """Return what a store knows of a video, as plain values.

    Where it is from (path, label, split), its state ("embedded", "failed" with the reason, or "to extract") and, where
    embedded, the decoder, the shape of each stream, and of each row the seconds, the frame, the view, the clip and the
    norm. DataError with near names for a video that the store does not know.
    """
    video = next((video for video in store.manifest.videos if video.video_id == video_id), None)
    failure = next((failure for failure in store.failures if failure.video_id == video_id), None)
    if video is None and failure is None and video_id not in store:
        raise DataError(_unknown(store, video_id))
    told: dict[str, Any] = {
        "video_id": video_id,
        "path": str(video.path) if video else failure.path if failure else "",
        "label": video.label if video else "",
        "split": video.split if video else "",
        "state": "embedded" if video_id in store else "failed" if failure else "to extract",
        "reason": failure.reason if failure and video_id not in store else "",
    }
    if video_id not in store:
        return told
    found = store.read_video(video_id)
    streams = {FRAME_STREAM: found.data, **found.streams}
    if found.patch_mean is not None:
        streams[PATCH_MEAN] = found.patch_mean
    shapes = {name: [len(values), *row_shape(values.shape, values.dtype.str)] for name, values in streams.items()}
    return told | {
        "decoder": store.decoders[video_id],
        "rows": len(found.data),
        "streams": shapes,
        "timestamps": found.timestamps.tolist(),
        "indices": found.indices.tolist(),
        **({} if found.windows is None else {"windows": found.windows.tolist()}),
        "views": found.views.tolist(),
        "clips": found.clips.tolist(),
        "norms": np.linalg.norm(found.data.astype(np.float32), axis=1).tolist(),
    }


def _unknown(store: FeatureStore, video_id: str) -> str:
    names = [video.video_id for video in store.manifest.videos]
    return f"{store.path}: has no video {video_id!r} among its {len(names)}{near_names(video_id, names)}"
