"""What a model says about one video, without the batches that the library makes of a store."""

from collections.abc import Sequence

import torch

from framebank.heads.labelling.neighbours import as_batch
from framebank.heads.model import Model
from framebank.heads.predictions import mean_over_groups
from framebank.heads.ranking import rank_classes
from framebank.store.shard import Embeddings


@torch.inference_mode()
def label_by_model(
    model: Model, labels: Sequence[str], embeddings: Embeddings, *, num_frames: int = 0, multi_label: bool = False
) -> list[tuple[str, float]]:
    """Return every label with its probability, most probable first. `num_frames` is the one of the model's recipe.

    With `multi_label`, as in the recipe, each label is judged separately, and the probabilities need not sum to one.
    """
    logits = model(*as_batch(embeddings, num_frames=num_frames))  # (G, C)
    logits = mean_over_groups(logits, len(logits), multi_label=multi_label)[0].double()  # (C,)
    logits = model.scaled(logits, multi_label=multi_label)
    scores = logits.sigmoid() if multi_label else logits.softmax(-1)
    return [(labels[position], float(scores[position])) for position in rank_classes(scores).tolist()]
