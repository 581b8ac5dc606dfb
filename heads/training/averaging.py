"""Averaging: which average of the judged candidates is taken in place of the best one alone, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from framebank.heads.training.choosing import JudgedCandidate
from framebank.heads.training.member_choice import MOST_MEMBERS, AverageGain, MemberChoice
from framebank.heads.training.members import Member
from framebank.store.counts import listed

AVERAGE = "average"  # its name among the candidates


@dataclass(frozen=True)
class MemberCandidate:
    """A judged candidate that may be averaged, and its logits (K, C) for every so many of the videos that judged it.

    To train it on all videos takes about `seconds`.
    """

    judged: JudgedCandidate
    logits: Tensor
    seconds: float

    def member(self, *, weight: float, temperature: float) -> Member:
        """Return it as a member of an average."""
        return Member(self.judged.name, self.judged.recipe, weight, temperature)


@dataclass(frozen=True)
class JudgedAverage:
    """The members of an average, or the reason why there is none; `gain` is over the candidate that was taken alone.

    `logits` (K, C) are those of the average for the videos that chose it.
    """

    members: tuple[Member, ...] = ()
    gain: AverageGain | None = None
    reason: str = ""
    logits: Tensor | None = None

    @property
    def is_better(self) -> bool:
        """Whether its cross-entropy is lower by more than one standard error, and its top-1 is higher.

        The mean of two temperatures of one model may lower the cross-entropy, but it names the same classes.
        """
        return self.gain is not None and self.gain.loss > self.gain.error and self.gain.top1 > 0

    def why(self, alone: str) -> str:
        """Return a clause that compares it with the candidate `alone`; "" if it was not judged."""
        if not self.gain:
            return ""
        names, gain = listed([member.name for member in self.members], most=MOST_MEMBERS), self.gain
        points = f"{abs(100 * gain.top1):.1f} points {'higher' if gain.top1 >= 0 else 'lower'}"
        if self.is_better:
            return (
                f"the mean of the probabilities of {names} has a cross-entropy that is {gain.loss:.3f} below {alone} "
                f"alone on the same videos, more than the standard error of {gain.error:.3f}, and its top-1 is {points}"
            )
        lower = f"{abs(gain.loss):.3f} {'lower' if gain.loss >= 0 else 'higher'}"
        return (
            f"the average of {names} is not clearly better: its cross-entropy is {lower}, with a standard error of "
            f"{gain.error:.3f}, and its top-1 {points}"
        )


def choose_average(
    held: Sequence[MemberCandidate], best: JudgedCandidate, *, target: Tensor, groups: Tensor, left: float
) -> JudgedAverage:
    """Return the average that the held-out videos choose, of classes `target` (K,) and sources `groups` (K,).

    It is compared with the `best` candidate, on videos that chose neither its temperatures nor its members. A candidate
    whose training does not fit in the seconds that are `left` is no member.
    """
    able = [one for one in held if one.judged is best or one.seconds * (MOST_MEMBERS - 1) <= left]
    if len(able) < 2:
        return JudgedAverage(reason="fewer than two ways can be trained in the time that is left")
    count = min(len(one.logits) for one in able)
    choice = MemberChoice([one.logits[:count] for one in able], target[:count], groups[:count])
    found = choice.choose()
    if len(found.places) < 2:
        return JudgedAverage(reason=f"{able[found.places[0]].judged.name} alone has the lowest cross-entropy")
    gain = choice.gain_in_turn(next(place for place, one in enumerate(able) if one.judged is best))
    if not gain:
        return JudgedAverage(reason="too few held-out videos to choose an average on some and judge it on others")
    pairs, share = zip(found.places, found.temperatures, strict=True), 1 / len(found.places)
    members = [able[place].member(weight=share, temperature=temperature) for place, temperature in pairs]
    return JudgedAverage(tuple(members), gain, logits=found.scores(choice.logits).clamp(min=1e-12).log())
