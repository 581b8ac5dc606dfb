"""Labelling: the ranked labels of one video, by a model or by its neighbours."""

from collections.abc import Sequence

import torch

from framebank.heads.model import Model
from framebank.heads.neighbours import as_batch, pool_query
from framebank.heads.predict import mean_over_groups
from framebank.heads.vote import vote
from framebank.store.index import Index
from framebank.store.shard import Embeddings


@torch.inference_mode()
def label_by_model(
    model: Model, labels: Sequence[str], embeddings: Embeddings, *, num_frames: int = 0, multi_label: bool = False
) -> list[tuple[str, float]]:
    """Return every label with its probability, most probable first; `num_frames` is that of the model's recipe.

    With `multi_label`, as the recipe says, each label is judged by itself, and the probabilities need not sum to one.
    """
    logits = model(*as_batch(embeddings, num_frames=num_frames))  # (G, C)
    logits = mean_over_groups(logits, len(logits), multi_label=multi_label)[0]  # (C,)
    scores = logits.sigmoid() if multi_label else logits.softmax(-1)
    order = scores.argsort(descending=True, stable=True).tolist()
    return [(labels[position], float(scores[position])) for position in order]


def label_by_index(index: Index, embeddings: Embeddings, *, k: int) -> list[tuple[str, float]]:
    """Return the labels of the k nearest videos with their share of the votes; DataError when there are fewer."""
    hits = index.search(pool_query(index, embeddings), k)[0]
    return vote([(hit.label, hit.score) for hit in hits])
