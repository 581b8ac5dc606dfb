"""Imports: make a store from features that another program made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import counted
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.exchange.source import RawFrames, Source
from framebank.store.files.replacing import require_new_folder
from framebank.store.formats.settings import read_pairs
from framebank.store.ledger import Failure, Ledger
from framebank.store.shard import Embeddings, ShardWriter
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.plan import plan_store, refuse_foreign
from framebank.store.videos.labels import LabelSet, class_text
from framebank.store.videos.manifest import Manifest, Video

IMPORTED = "imported"
DESCRIBED = ("model", "pretrained", "weights_hash", "preprocessing", "precision", "sampling", "decoder", "view")


@dataclass(frozen=True)
class Imported:
    """The result of a video: its rows, how many of them are all zeros, the shape they were flattened from if they were,
    or why there are none.
    """

    video: Video
    num_rows: int = 0
    zero_rows: int = 0
    flattened: tuple[int, ...] = ()
    error: str = ""


def read_description(parts: tuple[str, ...]) -> dict[str, str]:
    """Return {"model": "VGG16", ...} of "model=VGG16,pretrained=imagenet"; DataError for a word that means nothing."""
    expected = f"NAME=VALUE with one of {', '.join(DESCRIBED)}"
    written = (part for text in parts for part in text.split(","))
    found = read_pairs(written, what="the description", expected=expected)
    for name, value in found.items():
        if name not in DESCRIBED or not value:
            raise DataError(f"the description is {f'{name}={value}'!r}; expected {expected}")
    return found


def imported_spec(description: Mapping[str, str], *, dim: int, made_by: FeatureSpec | None = None) -> FeatureSpec:
    """Return the spec of a store of imported features.

    What is not described is "imported", or comes from `made_by`. If the hash of the weights is unknown, it is the hash
    of the words for model and pretrained: features with the same description may be mixed, others may not.
    """
    base = made_by or FeatureSpec(
        model=IMPORTED,
        pretrained=IMPORTED,
        weights_hash="",
        dim=dim,
        preprocessing=IMPORTED,
        precision=IMPORTED,
        sampling=IMPORTED,
        decoder=IMPORTED,
    )
    described: dict[str, Any] = dict(description)
    spec = replace(base, dim=dim, streams="frame", **described)
    renamed = (spec.model, spec.pretrained) != (base.model, base.pretrained)
    if "weights_hash" not in description and (renamed or not spec.weights_hash):
        words = f"{spec.model}\0{spec.pretrained}".encode()
        return replace(spec, weights_hash=digest({IMPORTED: np.frombuffer(words, dtype=np.uint8)}))
    return spec


def only_labels(source: Source, labels: LabelSet, *, where: object) -> Source:
    """Return the source with only the videos of these classes; DataError if there are none."""
    videos = tuple(video for video in source.manifest.videos if class_text(video.label) in labels.positions)
    if not videos:
        raise DataError(f"{where}: names no class of the {counted(len(source.manifest), 'video')} to import")
    return replace(source, manifest=Manifest(videos))


def find_width(source: Source) -> int:
    """Return the width D of the first video that can be read; 0 if none can, and then none will be imported."""
    for video in source.manifest.videos:
        try:
            return int(_rows(source.read(video).values).shape[1])
        except Exception:  # noqa: S112 - the import of the video reports it
            continue
    return 0


def import_features(folder: Path, source: Source, *, spec: FeatureSpec, fps: float = 1.0) -> Iterator[Imported]:
    """Write the videos of `source` that the store in `folder` does not hold yet, and yield the result of each.

    A video is in memory from its reading to its shard. Rows are the frames 0 to T-1 at i/fps seconds, unless the layout
    says otherwise. A video that cannot be read, or whose values are all zeros, not finite or too large for 16 bits,
    gets a line in failed.csv.
    """
    refuse_foreign(folder)
    require_new_folder(folder, what="store")
    ledger = Ledger(folder / "failed.csv")
    with ShardWriter(folder, spec) as writer:
        plan = plan_store(folder, source.manifest, spec, retry_failed=True, what="import")
        plan.manifest.write(folder / "manifest.csv")
        ledger.forget({video.video_id for video in plan.missing})
        for video in plan.missing:
            try:
                raw = source.read(video)
                embeddings = _embeddings(raw, fps=fps)
                if embeddings.data.shape[1] != spec.dim:
                    raise DataError(f"has the width {embeddings.data.shape[1]}, the store {spec.dim}")
            except Exception as error:  # a file of another program may be wrong in any way
                reason = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
                outcome = Imported(video, error=" ".join(f"{video.video_id}: {reason}".split()))
                ledger.add(Failure(video.video_id, str(video.path), outcome.error))
                yield outcome
                continue
            writer.add(video.video_id, embeddings, decoder=IMPORTED)
            yield Imported(
                video,
                num_rows=len(embeddings.data),
                zero_rows=int((~embeddings.data.any(axis=1)).sum()),
                flattened=raw.values.shape if raw.values.ndim > 2 else (),
            )


def _rows(values: np.ndarray) -> np.ndarray:
    """Return values as rows: (D,) is one frame (1, D), (T, ...) is flattened to (T, D)."""
    if values.ndim == 0 or values.size == 0:
        raise DataError(f"holds an array of shape {values.shape}, expected frames (T, D)")
    return values[None] if values.ndim == 1 else values.reshape(len(values), -1)  # (T, D)


def _half(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise DataError(f"holds values of type {values.dtype}, expected numbers")
    if not np.isfinite(values).all():
        raise DataError("holds values that are not finite (NaN or infinite)")
    largest = float(np.abs(values.astype(np.float64)).max())
    if not largest:
        raise DataError("holds only zeros, as if the feature is missing")
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise DataError(f"holds the value {largest:g}, too large for 16 bits (65504 at most); scale it first")
    if not half.any():
        raise DataError(f"holds no value above {largest:g}, too small for 16 bits; scale it first")
    return half


def _embeddings(raw: RawFrames, *, fps: float) -> Embeddings:
    data = _half(_rows(raw.values))
    frames = np.arange(len(data))
    rows = {
        "timestamps": frames / fps,
        "indices": frames,
        "views": np.zeros_like(frames),
        "clips": np.zeros_like(frames),
    }
    if raw.windows is not None and raw.windows.shape != (len(data), 2):
        raise DataError(f"has {counted(len(data), 'frame')} but windows of shape {raw.windows.shape}")
    for name in rows:
        values = getattr(raw, name)
        if values is not None and values.shape != frames.shape:
            raise DataError(f"has {counted(len(data), 'frame')} but {name} of shape {values.shape}")
        if values is not None:
            rows[name] = values
    return Embeddings(
        data,
        timestamps=rows["timestamps"].astype(np.float64),
        indices=rows["indices"].astype(np.int64),
        views=rows["views"].astype(np.int64),
        clips=rows["clips"].astype(np.int64),
        windows=None if raw.windows is None else raw.windows.astype(np.float64),
    )
