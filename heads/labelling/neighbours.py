"""Neighbours: pooled embeddings of a store in an index, and queries pooled in the same way."""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from framebank.heads.bank import BankParts, group_rows
from framebank.heads.model import Model
from framebank.heads.predictions import embed_bank, pool_groups
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.folder import WEIGHTS
from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current
from framebank.store.indexes.index import Index
from framebank.store.indexes.origin import REMOVED, Origin
from framebank.store.shard import Embeddings, distinct_mask
from framebank.store.vectors import has_direction
from framebank.store.videos.durations import durations_of
from framebank.store.videos.manifest import Manifest

# The reason why a video of a store is not in its index; REMOVED is another (origin.py).
MISSING = "not in the store"
ZEROS = "all zeros"
NOT_FINITE = "not all numbers"


def index_store(
    store: FeatureStore,
    manifest: Manifest,
    *,
    run: Run | None,
    run_path: Path | None,
    device: torch.device,
    split: str | None = None,
    known: Index | None = None,
    reused: Mapping[str, int] | None = None,
    removed: Collection[str] = (),
) -> Index:
    """Index the videos of `manifest` by the mean of their frames, or by the head of a run.

    If `manifest` is the whole of a `split`, the index remembers its store, and can be compared with it and updated.
    Videos without an embedding are left out, and so are those whose embedding is all zeros or holds a value that is not
    a number; the origin of the index names them, and those that were `removed` by hand. The vectors of `reused` videos
    come from the index `known`, by their numbers there; their rows are not read. DataError if the run was trained on
    features of another encoder, or if no video is left.
    """
    if run:
        run.spec.require_same_encoder(store.spec, mine=run_path, theirs=store.path)
        run.require_frames(run_path)
        run.require_one_head(run_path)
    made_by = {
        "head": run.recipe.head if run else "mean",
        "classifier": run.recipe.classifier if run else "text",
        "in_text_space": run.recipe.reads_texts if run else True,
        "run": str(run_path.absolute()) if run_path else None,
        "run_hash": run.weights_hash if run else None,
        "store": str(store.path.absolute()),
    }
    old, reused = (None, {}) if known is None else (known.own_vectors, reused or {})
    removed = set(removed)
    there = [row for row, name in enumerate(manifest.ids) if name not in removed]
    fresh = manifest.select([row for row in there if manifest.ids[row] not in reused])
    ids, vectors = _pooled(store, fresh, run, device) if len(fresh) else ([], np.zeros((0, store.spec.dim), np.float32))
    left_out, good = _left_out(fresh, ids, vectors)
    left_out |= {name: REMOVED for name in manifest.ids if name in removed}
    row_of = {name: row for row, name in enumerate(ids) if good[row]}
    kept = [row for row in there if manifest.ids[row] in reused or manifest.ids[row] in row_of]
    if not kept:
        listed = next((name for name in left_out if left_out[name] != MISSING), next(iter(left_out)))
        raise DataError(
            f"{store.path}: none of the {counted(len(manifest), 'video')} has an embedding that can be compared; the "
            f"embedding of {listed!r} is {left_out[listed]}"
        )
    videos = manifest.columns.select(kept)
    videos = replace(videos, durations=durations_of(store, videos))
    origin = None if split is None else Origin.of(store, videos, split=split, left_out=left_out)
    if old is None or not reused:
        vectors = vectors[[row_of[name] for name in videos.ids]]
        return Index(vectors, videos, spec=store.spec, made_by=made_by, origin=origin)
    filled = np.stack([old[reused[name]] if name in reused else vectors[row_of[name]] for name in videos.ids])
    made = Index(filled, videos, spec=store.spec, made_by=made_by, origin=origin)
    same = [row for row, name in enumerate(videos.ids) if name in reused]
    made.own_vectors[same] = filled[same]  # to the bit: a unit vector may change when it is brought to length 1 again
    return made


def _pooled(
    store: FeatureStore, manifest: Manifest, run: Run | None, device: torch.device
) -> tuple[Sequence[str], np.ndarray]:
    """Return the embedded videos of a list and their vectors (V, D)."""
    if not any(video_id in store for video_id in manifest.ids):
        return [], np.zeros((0, store.spec.dim), dtype=np.float32)
    model = run.model.to(device) if run else _mean(store.spec.dim)
    bank = BankParts(store, manifest, None, num_frames=run.recipe.frames if run else 0)
    return bank.video_ids, embed_bank(model, bank, device=device)


def _left_out(manifest: Manifest, embedded: Sequence[str], vectors: np.ndarray) -> tuple[dict[str, str], np.ndarray]:
    """Return the videos that cannot be indexed, with the reasons, and which of the embedded ones (V,) can."""
    there = set(embedded)
    left_out = {video_id: MISSING for video_id in manifest.ids if video_id not in there}
    good = has_direction(vectors)
    for row in np.flatnonzero(~good).tolist():
        left_out[embedded[row]] = NOT_FINITE if not np.isfinite(vectors[row]).all() else ZEROS
    return left_out, good


def run_of(index: Index) -> Run | None:
    """Return the run that pooled the videos of an index, or None if their frames were averaged. It is read once.

    DataError if the run is missing, or was trained again since then.
    """
    if not index.made_by.get("run"):
        return None
    path = Path(index.made_by["run"])
    if not path.is_dir():
        raise DataError(f"the index was pooled by the run {path}, which is not there; make the index again")
    run, weights_hash = _read_run(path, _stamp(current(path, WEIGHTS["run"])))
    if weights_hash != index.made_by["run_hash"]:
        raise DataError(f"{path}: was trained again since it pooled the videos of the index; make the index again")
    return run


@functools.lru_cache(maxsize=1)
def _read_run(path: Path, _: tuple[int, ...]) -> tuple[Run, str]:
    """Return the run of a folder and the hash of its weights. It is read again if its file has another stamp."""
    run = Run.read(path)
    return run, run.weights_hash


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def pool_query(index: Index, embeddings: Embeddings) -> np.ndarray:
    """Pool one video's rows (R, D) in the same way as the index's own videos -> (1, D).

    DataError if the run that pooled them is missing or was trained again.
    """
    model, num_frames = query_model(index)
    return embed_frames(model, embeddings, num_frames=num_frames)


def query_model(index: Index) -> tuple[Model, int]:
    """Return the model that pooled the videos of an index, and how many frames of each it used (0 for all).

    DataError if the run that pooled them is missing or was trained again.
    """
    run = run_of(index)
    return (_mean(index.spec.dim), 0) if run is None else (run.model.cpu(), run.recipe.frames)


def require_text_space(index: Index) -> None:
    """Raise DataError if the vectors of an index cannot be compared with texts."""
    if not index.made_by.get("in_text_space", index.made_by.get("classifier", "text") == "text"):
        raise DataError(
            f"the index was pooled by the run {index.made_by['run']}, whose classifier is "
            f"{index.made_by['classifier']!r}: its vectors cannot be compared with texts"
        )


@torch.inference_mode()
def embed_frames(model: Model, embeddings: Embeddings, *, num_frames: int = 0) -> np.ndarray:
    """Pool one video's rows (R, D) with a model -> (1, D). `num_frames` is the one of the model's recipe."""
    pooled = model.embed(*as_batch(embeddings, num_frames=num_frames))  # (G, D)
    return np.asarray(pool_groups(pooled, len(pooled)).numpy())


def as_batch(embeddings: Embeddings, *, num_frames: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one video's groups as a batch: x (G, T, D) rounded as in a store, mask (G, T) false for a repeat.

    With `num_frames`, that many frames of each group are used, as in `load_bank`.
    """
    counts = np.array([len(embeddings.data)])
    rows, _ = group_rows(counts, num_groups=embeddings.num_groups, num_frames=num_frames)  # (G, T), all real
    x = torch.from_numpy(embeddings.data.astype(np.float16)[rows])
    return x, torch.from_numpy(distinct_mask(embeddings.indices[rows]))


def _mean(dim: int) -> Model:
    return Model(Mean(dim), torch.nn.Identity()).eval()
