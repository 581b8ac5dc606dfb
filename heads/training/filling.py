"""Filling: a model that a recipe describes, with the tensors of a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.model import Model
from framebank.heads.training.build import build_model
from framebank.heads.training.checkpoint import require_fit
from framebank.heads.training.recipe import Recipe
from framebank.store.errors import parsing

WHAT = "a checkpoint of framebank"
CLASSIFIER = "classifier"  # the part of a model whose tensors may grow with the number of texts or videos


@dataclass(frozen=True)
class ModelShape:
    """The shape that a model is built for: the width D, C classes, the shape of one frame, and if it has a lexicon."""

    dim: int
    num_classes: int
    in_shape: tuple[int, ...] = ()
    has_lexicon: bool = False


def filled_model(recipe: Recipe, tensors: Mapping[str, Tensor], shape: ModelShape, *, where: object) -> Model:
    """Return the model of a recipe with its tensors, in test mode. DataError if they are not those of such a model."""
    lexicon = torch.zeros(1, shape.dim) if shape.has_lexicon else None
    texts = ClassTexts.blank(shape.num_classes, shape.dim) if recipe.reads_texts else None

    def build() -> Model:
        return build_model(
            recipe, dim=shape.dim, num_classes=shape.num_classes, texts=texts, in_shape=shape.in_shape, lexicon=lexicon
        )

    require_fit(build, tensors, where=where, free=CLASSIFIER)
    with parsing(where, what=WHAT):
        return _fill(build(), tensors)


def _fill(model: Model, tensors: Mapping[str, Tensor]) -> Model:
    """Give a model its tensors. What a classifier keeps of its texts or videos is as long as their number."""
    for name, value in tensors.items():
        owner, _, leaf = name.rpartition(".")
        module = model.get_submodule(owner)
        if owner.startswith(CLASSIFIER) and leaf in module._buffers:
            module._buffers[leaf] = torch.empty_like(value)
        elif owner.startswith(CLASSIFIER) and leaf in module._parameters:
            learned = module.get_parameter(leaf).requires_grad
            module._parameters[leaf] = nn.Parameter(torch.empty_like(value), requires_grad=learned)
    model.load_state_dict(tensors)
    return model.eval()
