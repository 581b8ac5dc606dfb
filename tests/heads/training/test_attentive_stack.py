"""AttentiveStack: it gives what copies computed one by one give, and what cannot share tokens is told apart."""

from dataclasses import replace

import pytest
import torch

from framebank.heads.model import Model
from framebank.heads.training.attentive_stack import AttentiveStack, _scale, reads_shared
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.stack import Stack
from framebank.tests.worlds.formulas import shaken

pytestmark = pytest.mark.usefixtures("one_thread")

DIM, CLASSES = 12, 3
DECAYS, RATES = torch.tensor([0.0, 0.1, 0.5]), torch.tensor([1e-2, 1e-3, 1e-2])
RECIPE = Recipe(head="attentive", head_options={"num_heads": 3}, classifier="linear", loss="ce")


def model_of(**options: object) -> Model:
    recipe = replace(RECIPE, head_options={**RECIPE.head_options, **options})
    return shaken(build_model(recipe, dim=DIM, num_classes=CLASSES, texts=None))


def videos(frames: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(5, frames, DIM, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(5, frames, dtype=torch.bool)
    mask[1, :2] = mask[2, -2:] = False
    return x, mask


@pytest.mark.parametrize("options", [{}, {"positions": False}, {"places": 2}, {"max_frames": 4}], ids=str)
def test_it_learns_what_copies_learn_one_by_one(options: dict[str, object]) -> None:
    model, (x, mask) = model_of(**options), videos()
    assert reads_shared(model)
    ours, theirs = (kind(model, weight_decays=DECAYS) for kind in (AttentiveStack, Stack))
    labels = torch.arange(5) % CLASSES
    for _ in range(3):
        found, expected = (
            one.step(x, mask, labels, lr=RATES, smoothing=0.1, precision="fp32") for one in (ours, theirs)
        )
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.logits(x, mask), theirs.logits(x, mask), rtol=1e-3, atol=1e-4)
    assert (ours.logits(x, mask)[0] - ours.logits(x, mask)[1]).abs().max() > 1e-3  # the copies differ


def test_in_bf16_it_scores_as_in_fp32_to_the_digits_of_bf16() -> None:
    model, (x, mask) = model_of(places=2), videos()
    exact = AttentiveStack(model, weight_decays=DECAYS).logits(x, mask)
    with torch.autocast("cpu", torch.bfloat16):
        found = AttentiveStack(model, weight_decays=DECAYS).logits(x, mask)
        alone = Stack(model, weight_decays=DECAYS).logits(x, mask)
    error, usual = ((one.float() - exact).abs().max() / exact.abs().max() for one in (found, alone))
    assert error < 0.02
    assert error < 3 * usual


def test_in_bf16_it_learns_what_copies_learn_one_by_one() -> None:
    model, (x, mask), labels = model_of(places=2), videos(), torch.arange(5) % CLASSES
    ours, theirs = (kind(model, weight_decays=DECAYS) for kind in (AttentiveStack, Stack))
    before = ours.logits(x, mask)
    for one in (ours, theirs):
        one.step(x, mask, labels, lr=RATES, smoothing=0.0, precision="bf16")
    moved, alone = (one.logits(x, mask) - before for one in (ours, theirs))
    assert (moved - alone).abs().max() < 0.1 * alone.abs().max()


def test_the_norm_of_tokens_with_positions_stays_in_fp32() -> None:
    """A position that nearly takes a token away leaves what bf16 cannot tell from the rest of both."""
    tokens = torch.randn(1, 6, DIM, generator=torch.Generator().manual_seed(2))
    times, spots = -0.99 * tokens, torch.zeros(1, 1, DIM)
    exact = _scale(tokens, times, spots, eps=1e-6)
    torch.testing.assert_close(exact[0, 0], (1e-4 * tokens[0].square().mean(-1) + 1e-6).rsqrt(), rtol=1e-2, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(_scale(tokens, times, spots, eps=1e-6), exact)


def test_padding_is_never_read() -> None:
    stack, (x, mask) = AttentiveStack(model_of(), weight_decays=DECAYS), videos()
    noise = torch.where(mask[..., None], x, 9.0)
    torch.testing.assert_close(stack.logits(noise, mask), stack.logits(x, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"blocks": 1}, {"token_norm": True}, {"projection": True}], ids=str)
def test_what_is_made_of_tokens_first_is_not_shared(options: dict[str, object]) -> None:
    assert not reads_shared(model_of(**options))
