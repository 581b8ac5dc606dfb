"""A batch for the tests of losses: a real model on made-up frames, whose weights are moved far from their start."""

import torch

from framebank.heads import LOSSES
from framebank.heads.class_texts import ClassTexts
from framebank.heads.losses.step import Step
from framebank.heads.randomness import drawn_from
from framebank.heads.shares import class_shares
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.formulas import frames, shaken

DIM = 8
NUM_CLASSES = 4
NUM_TEXTS = (3, 1, 3, 2)  # of each class


def texts_of(num_templates=1, *, seed=5):
    """Three rows of texts at the most, fewer of some classes."""
    counts = torch.tensor(NUM_TEXTS)
    rows = torch.nn.functional.normalize(frames(NUM_CLASSES, 3, DIM, seed=seed), dim=-1)
    rows = rows * (torch.arange(3) < counts[:, None]).unsqueeze(-1)
    matrix = torch.nn.functional.normalize(frames(num_templates, NUM_CLASSES, DIM, seed=seed + 1), dim=-1)
    return ClassTexts(matrix, rows, counts, 5.0)


def step_of(target, *, head="ted", classifier="text", loss="ce", num_frames=6, num_templates=1, seed=0, **options):
    """A step of videos of the classes `target`, or of labels (B, C); the last frame of the first is no frame."""
    recipe = Recipe(head=head, classifier=classifier, loss=loss, **options)
    texts = texts_of(num_templates)
    target = torch.as_tensor(target)
    target = target.float() if target.ndim == 2 else target
    frequency = class_shares(target, NUM_CLASSES).mean(0)
    x = frames(len(target), num_frames, DIM, seed=seed + 2)
    mask = torch.ones(x.shape[:2], dtype=torch.bool)
    mask[0, -1] = num_frames == 1
    model = build_model(recipe, dim=DIM, num_classes=NUM_CLASSES, texts=texts if recipe.reads_texts else None)
    generator = torch.Generator().manual_seed(seed)
    return Step(shaken(model), x, mask, target, texts=texts, generator=generator, frequency=frequency)


def loss_of(name, **options):
    """A loss whose own weights are moved far from their start, always to the same place."""
    with drawn_from(0, device=torch.device("cpu")):
        return shaken(LOSSES[name](DIM, NUM_CLASSES, **options))


def gradients(module):
    """The names of the parameters that a backward pass reached with more than zeros."""
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
