"""Whitener: with it, the steps of a linear classifier do not depend on the basis of its rows."""

import numpy as np
import pytest
import torch

from framebank.heads.model import Model
from framebank.heads.training.build import build_model
from framebank.heads.training.linear_stack import WEIGHT, LinearStack
from framebank.heads.training.pooled import OneFrame
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.whitener import whitener_of

pytestmark = pytest.mark.usefixtures("one_thread")

CPU, DIM = torch.device("cpu"), 24
RECIPE = Recipe(head="mean", classifier="linear", loss="ce")


def test_rows_that_are_white_are_left_as_they_are():
    found = whitener_of(7 * torch.eye(4), device=CPU)
    torch.testing.assert_close(found, torch.eye(4))


def test_it_adds_where_rows_vary_little_and_takes_where_they_vary_much():
    found = whitener_of(torch.tensor([[3.0, 0.0], [1.0, 0.0]]), device=CPU)  # the second moment is 2 and 0
    torch.testing.assert_close(found, torch.tensor([[2 / 3, 0.0], [0.0, 2.0]]))
    assert whitener_of(torch.zeros(3, 4), device=CPU).isfinite().all()


@pytest.mark.parametrize(("whitened", "depends"), [(True, False), (False, True)], ids=["whitened", "adamw"])
def test_whitened_steps_do_not_depend_on_the_basis(whitened, depends):
    rng = np.random.default_rng(0)
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]).float()
    rows = torch.from_numpy(rng.normal(size=(40, DIM)) * np.arange(1, DIM + 1) ** -1.0).float()
    labels = torch.arange(40) % 3
    scores = []
    for own in (rows, rows @ turn):
        model = Model(OneFrame(), build_model(RECIPE, dim=DIM, num_classes=3, texts=None).classifier, frame_norm=False)
        start = model.state_dict()
        model.load_state_dict({**start, WEIGHT: start[WEIGHT] @ turn if own is not rows else start[WEIGHT]})
        whitener = whitener_of(own, device=CPU)[None] if whitened else None
        stack = LinearStack(model, weight_decays=torch.tensor([0.1]), whitener=whitener)
        x, mask = own[:, None], torch.ones(40, 1, dtype=torch.bool)
        for _ in range(30):
            stack.step(x, mask, labels, lr=torch.tensor([1e-2]), smoothing=0.0, precision="fp32")
        scores.append(stack.logits(x, mask)[0])
    assert (scores[0] - scores[1]).abs().max() > 0.1 if depends else torch.allclose(*scores, atol=1e-3)
    assert (scores[0].argmax(1) == labels).float().mean() > 0.5
