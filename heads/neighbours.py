"""Neighbours: pooled embeddings of a store in an index, and queries pooled the same way."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from framebank.heads.bank import group_rows, load_bank
from framebank.heads.model import Model
from framebank.heads.predict import embed_bank, pool_groups
from framebank.heads.run import Run
from framebank.heads.temporal.mean import Mean
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.index import Hit, Index
from framebank.store.manifest import Manifest
from framebank.store.shard import Embeddings, distinct_mask
from framebank.store.video import Video


def index_store(
    store: FeatureStore, manifest: Manifest, *, run: Run | None, run_path: Path | None, device: torch.device
) -> Index:
    """Index the videos of `manifest` by the mean of their frames, or by the head of a run.

    DataError where the run was trained on features of another encoder, and where an embedding holds what is no number.
    """
    if run:
        run.spec.require_same_encoder(store.spec, mine=run_path, theirs=store.path)
        run.require_frames(run_path)
    model = run.model.to(device) if run else _mean(store.spec.dim)
    bank = load_bank(store, manifest, None, device=device, num_frames=run.recipe.frames if run else 0)
    video_of = {video.video_id: video for video in manifest.videos}
    made_by = {
        "head": run.recipe.head if run else "mean",
        "classifier": run.recipe.classifier if run else "text",
        "in_text_space": run.recipe.reads_texts if run else True,
        "run": str(run_path.absolute()) if run_path else None,
        "run_hash": run.weights_hash if run else None,
        "store": str(store.path.absolute()),
    }
    vectors = embed_bank(model, bank, device=device)
    videos = [video_of[video_id] for video_id in bank.video_ids]
    require_finite(videos, vectors, where=store.path)
    return Index(vectors, videos, spec=store.spec, made_by=made_by)


def require_finite(videos: Sequence[Video], vectors: np.ndarray, *, where: object) -> None:
    """Refuse vectors (V, D) with a value that is no number: DataError naming the first such video."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(f"{where}: the embedding of {videos[bad[0]].video_id!r} holds values that are no numbers")


def neighbours_of_id(index: Index, video_id: str, *, k: int) -> list[Hit]:
    """Return the k nearest other videos of one in the index; DataError when there are fewer."""
    if k + 1 > len(index):
        raise DataError(
            f"{counted(k, 'neighbour')} wanted, but the index holds {counted(len(index) - 1, 'other video')}"
        )
    hits = index.search(index.vector(video_id)[None], k + 1)[0]
    return [hit for hit in hits if hit.video_id != video_id][:k]


def pool_query(index: Index, embeddings: Embeddings) -> np.ndarray:
    """Pool one video's rows (R, D) as the index pooled its own -> (1, D).

    DataError where the run that pooled them has gone or was trained again.
    """
    model, num_frames = query_model(index)
    return embed_frames(model, embeddings, num_frames=num_frames)


def query_model(index: Index) -> tuple[Model, int]:
    """Return what pooled the videos of an index, and how many frames of each it used, 0 for all; read it once.

    DataError where the run that pooled them has gone or was trained again.
    """
    path = index.made_by["run"]
    if not path:
        return _mean(index.spec.dim), 0
    if not Path(path).is_dir():
        raise DataError(f"the index was pooled by the run {path}, which is not there; make the index again")
    run = Run.read(Path(path))
    if run.weights_hash != index.made_by["run_hash"]:
        raise DataError(f"{path}: was trained again since it pooled the videos of the index; make the index again")
    return run.model, run.recipe.frames


def require_text_space(index: Index) -> None:
    """Refuse a text query where the index's vectors are not in the space of texts: DataError."""
    if not index.made_by.get("in_text_space", index.made_by["classifier"] == "text"):
        raise DataError(
            f"the index was pooled by the run {index.made_by['run']}, whose classifier is "
            f"{index.made_by['classifier']!r}: its vectors cannot be compared with texts"
        )


@torch.inference_mode()
def embed_frames(model: Model, embeddings: Embeddings, *, num_frames: int = 0) -> np.ndarray:
    """Pool one video's rows (R, D) with a model -> (1, D); `num_frames` is that of the model's recipe."""
    pooled = model.embed(*as_batch(embeddings, num_frames=num_frames))  # (G, D)
    return np.asarray(pool_groups(pooled, len(pooled)).numpy())


def as_batch(embeddings: Embeddings, *, num_frames: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one video's groups as a batch: x (G, T, D) rounded as a store would, mask (G, T) false for a repeat.

    With `num_frames`, that many frames of each group are used, as by `load_bank`.
    """
    counts = np.array([len(embeddings.data)])
    rows, _ = group_rows(counts, num_groups=embeddings.num_groups, num_frames=num_frames)  # (G, T), all real
    x = torch.from_numpy(embeddings.data.astype(np.float16)[rows])
    return x, torch.from_numpy(distinct_mask(embeddings.indices[rows]))


def _mean(dim: int) -> Model:
    return Model(Mean(dim), torch.nn.Identity()).eval()
