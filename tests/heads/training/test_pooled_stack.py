"""Pooled stack: it is known of a recipe whether it trains in one."""

from dataclasses import replace

import pytest

from framebank.heads.training.pooled_stack import shared_steps
from framebank.heads.training.recipe import Recipe

LINEAR = Recipe(head="mean", classifier="linear", loss="ce", epochs=3, val_fraction=0.0)
TEXTS = replace(LINEAR, classifier="text", text="residual", scoring="embeddings")


@pytest.mark.parametrize("base", [LINEAR, TEXTS], ids=["linear", "texts"])
@pytest.mark.parametrize("more", [{"frame_dropout": 0.3}, {"frames": 4, "jitter": True}, {"mixup": 0.2}], ids=str)
def test_what_draws_frames_trains_alone(base, more):
    """It is known before a video is read and pooled for nothing."""
    assert shared_steps(base) is not None
    assert shared_steps(replace(base, **more)) is None


@pytest.mark.parametrize(
    "more",
    [
        {"text": "fixed"},
        {"text": "adapter"},
        {"scoring": "probabilities"},
        {"classifier_options": {"learn_scale": False}},
        {"steps": "either"},
    ],
    ids=str,
)
def test_other_texts_than_one_that_a_vector_moves_train_alone(more):
    assert shared_steps(replace(TEXTS, **more)) is None
