"""Exports: the embeddings of a store as files that other programs read."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.exchange.export_names import key_of, name_bytes, path_of, write_names
from framebank.store.exchange.parquet import ReadRows, write_parquet
from framebank.store.exchange.source import OF_WINDOWS
from framebank.store.exchange.sources import SPEC_FILE
from framebank.store.features import FeatureStore
from framebank.store.files.place import making, new_folder
from framebank.store.shard import FRAME_STREAM, Embeddings
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Manifest, Video

VIDEOS_OF_A_TAR = 1000


def export_store(
    store: FeatureStore, manifest: Manifest, out: Path, *, form: str, stream: str = FRAME_STREAM
) -> Iterator[Video]:
    """Write one stream of the videos of `manifest` to `out`, completely or not at all, and yield each video.

    Features from another stream than `frame` are in no joint space, and the spec says so: the model is "ViT-B-32
    pre_proj". DataError if `out` is there already, another process is writing it or it cannot be written, or where the
    store holds none of the videos or no such stream.
    """
    videos = [video for video in manifest.videos if video.video_id in store]
    if not videos:
        raise DataError(f"{store.path}: holds no embedding of the {counted(len(manifest), 'video')} asked for")
    spec = _spec_of(store.spec, stream, store.read_stream(videos[0].video_id, stream))
    with making(out, what="export"):
        yield from EXPORTS[form](partial(_read, store, stream), videos, out, spec=spec)


def write_npy(read: ReadRows, videos: list[Video], out: Path, *, spec: FeatureSpec) -> Iterator[Video]:
    """Write ID.npy, (T, D) or (T, ...) float16, with ID.json for each video into the folder `out`, and names.csv."""
    with new_folder(out) as part:
        _write_spec(part, spec, videos)
        most = name_bytes(part)
        path_in = {video.video_id: f"{path_of(video.video_id, most=most)}.npy" for video in videos}
        write_names(part, ((path, video_id) for video_id, path in path_in.items()))
        for video in videos:
            values, embeddings = read(video.video_id)
            path = part / path_in[video.video_id]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_npy(values))
            path.with_name(path.name.removesuffix(".npy") + ".json").write_bytes(_about(video, embeddings))
            yield video


def write_webdataset(read: ReadRows, videos: list[Video], out: Path, *, spec: FeatureSpec) -> Iterator[Video]:
    """Write KEY.npy, KEY.json and, for a video with a label, KEY.cls into tar files of 1000 videos in the folder `out`.

    KEY is the video_id with all but letters, figures, "-" and "_" percent-encoded: WebDataset ends a key at the first
    dot, and takes a slash for a folder. One too long for a file's name is cut, with a digest behind it; names.csv says
    which tar and key is which video. The number in KEY.cls counts in the `labels` of store.spec.
    """
    with new_folder(out) as part:
        number_of = {label: number for number, label in enumerate(_write_spec(part, spec, videos))}
        most = name_bytes(part)
        key_of_video = {video.video_id: key_of(video.video_id, most=most) for video in videos}
        tar_of = {video.video_id: _tar_name(number) for number, video in enumerate(videos)}
        write_names(part, ((f"{tar_of[v]}/{key}.npy", v) for v, key in key_of_video.items()))
        for start in range(0, len(videos), VIDEOS_OF_A_TAR):
            with tarfile.open(part / _tar_name(start), "w") as tar:
                for video in videos[start : start + VIDEOS_OF_A_TAR]:
                    values, embeddings = read(video.video_id)
                    key = key_of_video[video.video_id]
                    _add(tar, f"{key}.npy", _npy(values))
                    _add(tar, f"{key}.json", _about(video, embeddings))
                    if video.label:
                        _add(tar, f"{key}.cls", str(number_of[video.label]).encode())
                    yield video


def _tar_name(number: int) -> str:
    return f"shard-{number // VIDEOS_OF_A_TAR:06d}.tar"


EXPORTS: dict[str, Callable[..., Iterator[Video]]] = {
    "npy": write_npy,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
}


def _spec_of(spec: FeatureSpec, stream: str, values: np.ndarray) -> FeatureSpec:
    """The spec of a store that holds the rows (R, ...) of one stream as its frames."""
    if stream == FRAME_STREAM:
        return replace(spec, streams=FRAME_STREAM)
    full = next(part for part in spec.streams.split(",") if part.partition(":")[0] == stream)
    name = f"{spec.model} {full.replace(':', ' ')}"  # a colon would make it a model of a hub
    return replace(spec, model=name, dim=values[0].size, streams=FRAME_STREAM)


def _read(store: FeatureStore, stream: str, video_id: str) -> tuple[np.ndarray, Embeddings]:
    """Return the values (R, ...) of a stream, and the embeddings that describe these rows.

    A row of patch_mean stands for all frames of its view and clip; the first frame describes it.
    """
    frames = store[video_id]
    if stream == FRAME_STREAM:
        return frames.data, frames
    values = store.read_stream(video_id, stream)
    first = np.arange(0, len(frames.data), len(frames.data) // len(values))  # every row, or one of each group
    told = {name: getattr(frames, name)[first] for name in ("data", "timestamps", "indices", "views", "clips")}
    return values, Embeddings(**told, windows=None if frames.windows is None else frames.windows[first])


def _write_spec(folder: Path, spec: FeatureSpec, videos: list[Video]) -> list[str]:
    labels = sorted({video.label for video in videos if video.label})
    (folder / SPEC_FILE).write_text(json.dumps({"spec": spec.to_dict(), "labels": labels}, indent=1), encoding="utf-8")
    return labels


def _npy(data: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, data, allow_pickle=False)
    return content.getvalue()


def _about(video: Video, embeddings: Embeddings) -> bytes:
    about: dict[str, Any] = {
        "framebank": 1,
        "video_id": video.video_id,
        "label": video.label,
        "split": video.split,
        "group": video.group,
        "indices": embeddings.indices.tolist(),
        "timestamps": embeddings.timestamps.tolist(),
        "views": embeddings.views.tolist(),
        "clips": embeddings.clips.tolist(),
    }
    if video.extra:
        about["extra"] = dict(video.extra)
    if embeddings.windows is not None:
        about |= dict(zip(OF_WINDOWS, embeddings.windows.T.tolist(), strict=True))
    return json.dumps(about).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
