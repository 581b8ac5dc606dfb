"""Which candidates are averaged, on logits whose right answer is known."""

import math

import pytest
import torch

from framebank.heads.training.averaging import JudgedAverage, MemberCandidate, choose_average
from framebank.heads.training.candidates import Candidate
from framebank.heads.training.choosing import JudgedCandidate
from framebank.heads.training.member_choice import STEP, AverageGain, ChosenMembers, MemberChoice
from framebank.heads.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

VIDEOS, CLASSES = 400, 5
RECIPE = Recipe(head="mean", classifier="linear", loss="ce")


def logits_of(target, *, seed, share=1.0, strength=2.0):
    """Logits that know the class of a share of the videos, and are noise on all."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(target), CLASSES, generator=generator)
    knows = torch.rand(len(target), generator=generator) < share
    return noise + strength * knows[:, None] * torch.nn.functional.one_hot(target, CLASSES)


@pytest.fixture(scope="module")
def target():
    return torch.arange(VIDEOS) % CLASSES


def test_candidates_that_err_on_other_videos_are_averaged_and_are_better(target):
    logits = [logits_of(target, seed=seed) for seed in range(4)]
    choice = MemberChoice(logits, target, torch.arange(VIDEOS))
    found = choice.choose()
    assert len(found.places) == 3
    gain = choice.gain_in_turn(found.places[0])
    right = found.scores(logits).argmax(1) == target
    assert gain.loss > 3 * gain.error
    assert gain.top1 > 0.05
    assert JudgedAverage((), gain).is_better
    assert float(gain.right.float().mean()) == pytest.approx(float(right.float().mean()), abs=0.03)


def test_a_copy_and_a_guess_are_not_better_than_one(target):
    good = logits_of(target, seed=0)
    guess = torch.randn(VIDEOS, CLASSES, generator=torch.Generator().manual_seed(1))
    choice = MemberChoice([guess, good, 3 * good], target, torch.arange(VIDEOS))
    assert 0 not in choice.choose().places
    gain = choice.gain_in_turn(1)
    assert gain.top1 == 0  # two temperatures of one model name the same classes
    assert not JudgedAverage((), gain).is_better


def test_a_temperature_undoes_a_scale(target):
    good = logits_of(target, seed=0)
    scaled = MemberChoice([8 * good], target, torch.arange(VIDEOS)).choose().temperatures[0]
    plain = MemberChoice([good], target, torch.arange(VIDEOS)).choose().temperatures[0]
    assert math.log(scaled / plain) == pytest.approx(math.log(8), abs=STEP)


def test_the_choice_is_judged_on_sources_that_did_not_make_it():
    """Fifty guesses: some average is above chance on the videos that chose it, and none is on others."""
    few = torch.arange(60) % CLASSES
    logits = [2 * torch.randn(60, CLASSES, generator=torch.Generator().manual_seed(seed)) for seed in range(50)]
    choice = MemberChoice(logits, few, torch.arange(60))
    found = choice.choose()
    gain = choice.gain_in_turn(0)
    flattered = AverageGain.of(found.scores(logits), ChosenMembers((0,), (1.0,)).scores(logits), few)
    assert flattered.loss > flattered.error
    assert gain.right.float().mean() < flattered.right.float().mean()
    assert gain.right.float().mean() < 0.35
    assert gain.loss < gain.error < flattered.loss


def test_too_few_videos_or_sources_judge_nothing(target):
    logits = [logits_of(target, seed=seed) for seed in range(2)]
    assert MemberChoice([each[:15] for each in logits], target[:15], torch.arange(15)).gain_in_turn(0) is None
    assert MemberChoice(logits, target, target).gain_in_turn(0) is None


def test_the_gain_by_hand():
    averaged = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.5, 0.5], [0.9, 0.1]])
    alone = torch.tensor([[0.4, 0.6], [0.8, 0.2], [0.5, 0.5], [0.9, 0.1]])
    gain = AverageGain.of(averaged, alone, torch.zeros(4, dtype=torch.long))
    assert gain.right.tolist() == [True, False, True, True]
    assert (gain.loss, gain.top1) == (pytest.approx(0), 0)  # ln 2 is won in the first video and lost in the second
    assert gain.error == pytest.approx(math.log(2) / math.sqrt(2) / 2, rel=1e-6)


def test_an_average_keeps_the_logits_of_what_it_averages(target):
    judged = [
        JudgedCandidate.of(Candidate(name, (RECIPE,)), RECIPE, logits_of(target, seed=place), target)
        for place, name in enumerate("ab")
    ]
    held = [MemberCandidate(one, logits_of(target, seed=place), 0.0) for place, one in enumerate(judged)]
    found = choose_average(held, judged[0], target=target, groups=torch.arange(VIDEOS), left=1.0)
    places = {member.name: "ab".index(member.name) for member in found.members}
    each = [(logits_of(target, seed=places[one.name]) / one.temperature).softmax(1) for one in found.members]
    torch.testing.assert_close(found.logits.exp(), torch.stack(each).mean(0))
