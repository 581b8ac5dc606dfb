"""StepsChoice: a test of signs by source."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from framebank.heads.training.steps_choice import StepsChoice, first_part, gain_by_chance


def test_the_chance_is_the_share_of_signs_that_give_as_much():
    assert gain_by_chance(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.arange(5)) == 1 / 32
    assert gain_by_chance(np.array([1.0, 1.0, -1.0]), np.arange(3)) == 4 / 8  # 3 once, 1 three times
    assert gain_by_chance(-np.ones(5), np.arange(5)) == 1.0
    assert gain_by_chance(np.zeros(7), np.arange(7)) == 1.0


def test_videos_of_one_source_count_as_one():
    gains, groups = np.ones(20), np.repeat([3, 8, 5, 9], 5)
    assert gain_by_chance(gains, groups) == 1 / 16  # four sources are never enough
    assert gain_by_chance(gains, np.arange(20)) < 0.001


@pytest.mark.parametrize("sources", [8, 30])
def test_equal_ways_are_told_apart_in_five_of_a_hundred_at_most(sources):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(sources), 3)
    found = [
        gain_by_chance(rng.normal(size=sources)[groups] + rng.normal(size=3 * sources), groups) for _ in range(400)
    ]
    assert 0.01 < np.mean(np.array(found) < 0.05) < 0.075  # 5 %, by 400 draws


def test_many_sources_take_little_memory():
    gains, count = np.random.default_rng(1).normal(size=4_000), 4_000
    tracemalloc.start()
    found = gain_by_chance(gains, np.arange(count))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # all signs at once are 320 MB
    expected = math.erfc(gains.sum() / math.sqrt(2 * (gains**2).sum())) / 2  # the sum of so many is normal
    assert abs(found - expected) < 0.02


def test_a_loss_that_is_no_number_is_no_gain():
    assert gain_by_chance(np.array([9.0, 9.0, math.nan, 9.0, 9.0, 9.0]), np.arange(6)) == 1.0
    assert gain_by_chance(np.full(6, math.inf), np.arange(6)) == 1.0


def test_the_choice_tells_both_losses_and_the_sources():
    losses, groups = torch.tensor([1.0, 2.0] * 6), np.repeat(np.arange(6), 2)
    found = StepsChoice.of(losses, losses - 0.5, groups)
    assert found.chosen == "whitened"
    told = "they are clearly better: loss 1.000, AdamW's 1.500, on 12 validation videos of 6 sources (p 0.016)"
    assert found.why == told
    assert found.to_dict()["whitened_loss"] == 1.0
    assert StepsChoice.of(losses, losses + 0.5, groups).chosen == "adamw"


def test_the_first_part_is_an_eighth():
    assert [first_part(epochs) for epochs in (1, 8, 9, 150)] == [1, 1, 2, 19]
