from dataclasses import replace

import pytest
import torch

from framebank.heads.bank import load_bank
from framebank.heads.predictions import predict_logits
from framebank.heads.training import loop
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import fit
from framebank.heads.training.objective import Objective
from framebank.heads.training.pooled import pools_once
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.heads import CLASSES, DIM, texts_of

CPU = torch.device("cpu")
PROBE = Recipe(head="mean", classifier="linear", loss="ce", epochs=6, batch_size=10, lr=0.01)

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(recipe, prompts, train, val):
    texts = texts_of(prompts)
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts if recipe.reads_texts else None)
    log = list(fit(model, recipe, train, val=val, texts=texts if recipe.reads_texts else None, device=CPU))
    return model, log


@pytest.mark.parametrize(
    "recipe",
    [
        PROBE,
        replace(PROBE, views="all"),
        replace(PROBE, frame_norm=False),
        replace(PROBE, head_mix=0.5, average=0.5),
        Recipe(head="mean", classifier="text", loss="kl", epochs=4, lr=0.01, batch_size=10),
        Recipe(head="mean", classifier="text", loss="ce + froster + consistency", epochs=4, lr=0.01, batch_size=10),
    ],
    ids=["linear", "all-views", "plain-frames", "mixed-and-averaged", "text", "held-to-the-mean"],
)
def test_pooled_once_is_pooled_at_every_step(groups, recipe, monkeypatch):
    """The bank has several views and clips, repeated frames and padding: the draws and the masks must agree."""
    labels = groups.prompts.labels
    train, val = (load_bank(groups.store, groups.manifest.split(name), labels, device=CPU) for name in ("train", "val"))
    once, log = trained(recipe, groups.prompts, train, val)
    monkeypatch.setattr(loop, "pools_once", lambda *given: False)
    each, log_each = trained(recipe, groups.prompts, train, val)
    torch.testing.assert_close([epoch.loss for epoch in log], [epoch.loss for epoch in log_each], rtol=1e-4, atol=1e-5)
    assert [epoch.val_score for epoch in log] == [epoch.val_score for epoch in log_each]
    torch.testing.assert_close(
        predict_logits(once, val, device=CPU), predict_logits(each, val, device=CPU), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"mixup": 0.5}, False),
        ({"frame_dropout": 0.1}, False),
        ({"frames": 4, "jitter": True}, False),
        ({"head": "shift"}, False),
        ({"head": "attentive"}, False),
        ({"loss": "ce + diversity"}, False),
    ],
)
def test_what_draws_among_the_frames_is_not_pooled_once(changes, expected):
    recipe = replace(PROBE, **changes)
    model = build_model(recipe, dim=DIM, num_classes=len(CLASSES), texts=None)
    assert pools_once(model, recipe, Objective(recipe.loss, DIM, len(CLASSES))) is expected


def test_a_scorer_of_frames_is_not_pooled_once(world):
    recipe = Recipe(head="mean", classifier="attributes", loss="ce")
    model = build_model(recipe, dim=DIM, num_classes=4, texts=texts_of(world.prompts))
    assert not pools_once(model, recipe, Objective(recipe.loss, DIM, 4))
