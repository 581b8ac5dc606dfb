"""Model: a head and a classifier, the default cross-modal scorer; how one is built from a recipe."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads import CLASSIFIERS, HEADS
from framebank.heads.randomness import drawn_from
from framebank.heads.recipe import Recipe
from framebank.store.prompts import PromptBank


class Model(nn.Module):
    """Frames to class scores: unit frames (where `frame_norm`), head, classifier.

    Frames are stored un-normalised. Made unit before the head, as here by default, each frame counts the same in a mean
    whatever its norm; ActionCLIP pools them as they are.
    """

    def __init__(self, head: nn.Module, classifier: nn.Module, *, frame_norm: bool = True) -> None:
        super().__init__()
        self.head = head
        self.classifier = classifier
        self.frame_norm = frame_norm

    def embed(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool frames x (B, T, D) of any float type, mask (B, T) true where real -> (B, D) float32."""
        x = x.float()
        pooled: Tensor = self.head(F.normalize(x, dim=-1) if self.frame_norm else x, mask)
        return pooled

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score frames x (B, T, D), mask (B, T) true where real -> logits (B, C)."""
        logits: Tensor = self.classifier(self.embed(x, mask))
        return logits


def class_matrix(prompts: PromptBank, *, scoring: str) -> Tensor:
    """Return what a TextClassifier scores with: (P, C, D) for probabilities, (C, D) for embeddings."""
    return torch.from_numpy(prompts.per_template() if scoring == "probabilities" else prompts.class_embeddings())


def build_model(recipe: Recipe, *, dim: int, num_classes: int, prompts: PromptBank | None) -> Model:
    """Build what a recipe describes, drawn from its seed; the text classifier needs the prompts of its classes."""
    with drawn_from(recipe.seed, device=torch.device("cpu")):
        head = HEADS[recipe.head](dim)
        if recipe.classifier == "text":
            if prompts is None:
                raise ValueError("the text classifier needs prompts")
            matrix = class_matrix(prompts, scoring=recipe.scoring)
            classifier = CLASSIFIERS["text"](matrix, logit_scale=prompts.logit_scale)
        else:
            classifier = CLASSIFIERS[recipe.classifier](dim, num_classes)
    return Model(head, classifier, frame_norm=recipe.frame_norm)
