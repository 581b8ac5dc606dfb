"""Verdicts: what a difference of two runs says, by how sure it is and by how many videos or sources differ."""

import html
from collections.abc import Sequence
from dataclasses import Field, asdict, replace
from typing import Any, ClassVar, Protocol, TypeVar

from framebank.heads.evaluation.normal import Z
from framebank.store.counts import counted

LEVEL = 0.05
POWER_Z = Z + 0.841621  # a difference of that many standard errors is found in 4 of 5 test sets
FEWEST = 6  # sources that differ: six with one sign have p = 2 / 2^6 = 3 %, five have 6 %
LEAST_P = 0.0002  # a smaller p-value is told as below it: the bootstrap has 10,000 draws


class ComparedRuns(Protocol):
    """How B compares with A on the same videos; `PairedDifference` and `PrecisionDifference` say what each field is."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def difference(self) -> float:
        """B minus A, a fraction."""

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""

    @property
    def p_value(self) -> float:
        """The level at which the interval reaches 0."""

    @property
    def p_holm(self) -> float | None:
        """The same after Holm's correction; None if two runs alone were compared."""

    @property
    def smallest_difference(self) -> float:
        """What this test set finds in 4 of 5 cases."""

    @property
    def verdict(self) -> str:
        """What it says of B: "better", "worse" or "cannot tell"."""

    @property
    def videos(self) -> int:
        """The videos that were compared."""

    @property
    def sources(self) -> int:
        """Their groups, or the single videos."""

    @property
    def sources_that_differ(self) -> int:
        """The sources that count for the difference."""

    @property
    def seeds(self) -> int:
        """The pairs of seeds."""

    @property
    def equivalent_within(self) -> float | None:
        """The margin in points that the caller asked for."""

    @property
    def equivalent(self) -> bool | None:
        """Whether the difference is within the margin."""

    def lines(self, *, a: str = "A", b: str = "B") -> list[str]:
        """Return what was found, as lines, with the names of the two."""


AnyDifference = TypeVar("AnyDifference", bound=ComparedRuns)


def verdict_of(difference: float, p_value: float, differing: int) -> str:
    """Return "better", "worse" or "cannot tell" for a difference; `differing` sources have one that is not 0.

    >>> verdict_of(0.03, 0.01, 12), verdict_of(0.03, 0.01, 5)
    ('better', 'cannot tell')
    """
    if p_value >= LEVEL or differing < FEWEST or not difference:
        return "cannot tell"
    return "better" if difference > 0 else "worse"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        found[place] = highest
    return found


def corrected(found: Sequence[AnyDifference]) -> list[AnyDifference]:
    """Return comparisons with one run, with Holm's p-values and the verdicts that follow from them."""
    if len(found) < 2:
        return list(found)
    return [
        replace(one, p_holm=value, verdict=verdict_of(one.difference, value, one.sources_that_differ))
        for one, value in zip(found, holm([each.p_value for each in found]), strict=True)
    ]


def plain_values(found: ComparedRuns) -> dict[str, Any]:
    """Return everything as plain values; the method `to_dict` of what compares two runs."""
    return {**asdict(found), "interval": list(found.interval)}


def told(found: ComparedRuns) -> str:
    """Return its lines as a text; the `__repr__` of what compares two runs."""
    return "\n".join(found.lines())


def told_in_html(found: ComparedRuns) -> str:
    """Return its lines for a notebook; the `_repr_html_` of what compares two runs."""
    return f"<pre>{html.escape(told(found))}</pre>"


def difference_line(found: ComparedRuns) -> str:
    """Return the difference with its interval and its p-value, as a line."""
    low, high = found.interval
    holm_value = "" if found.p_holm is None else f", {_p(found.p_holm)} by Holm"
    return (
        f"difference {100 * found.difference:+.1f} points (95 % {100 * low:+.1f} to {100 * high:+.1f}), "
        f"p {_p(found.p_value)}{holm_value}"
    )


def verdict_lines(found: ComparedRuns, *, a: str, b: str) -> list[str]:
    """Return what was compared, the margin if one was asked for, and the verdict, as lines."""
    videos, seeds = counted(found.videos, "video"), f", {found.seeds} pairs of seeds" if found.seeds > 1 else ""
    over = f"{videos} of {counted(found.sources, 'source')}" if found.sources < found.videos else videos
    lines = [
        f"videos     {over}{seeds}, which show a difference of "
        f"{100 * found.smallest_difference:.1f} points in four of five cases"
    ]
    if found.equivalent_within is not None:
        told = "equivalent" if found.equivalent else "not shown to be equivalent"
        margin = f"{found.equivalent_within:g} point{'s' * (found.equivalent_within != 1)}"
        lines.append(f"margin     {told} within {margin}")
    said = {"better": f"{b} is better than {a}", "worse": f"{b} is worse than {a}"}
    few = ""
    if found.sources_that_differ < FEWEST:
        few = f": {FEWEST} videos or sources must differ, {found.sources_that_differ} do"
    return [*lines, f"verdict    {said.get(found.verdict, f'cannot tell{few}')}"]


def _p(value: float) -> str:
    """Return a p-value as text."""
    return f"{value:.2g}" if value >= LEAST_P else f"below {LEAST_P}"
