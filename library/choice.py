"""Choice: what `auto` tried on a data set, the score of each candidate on held-out videos, and why one was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framebank.library.table import duration, html_table, percent, table


@dataclass(frozen=True, repr=False)
class Choice:
    """What was tried and what was chosen. It prints as the table of `framebank train`.

    Each item of `tried` has a name, a score (top-1 over `videos` held-out videos, from 0 to 1) with its 95 % interval,
    and the seconds it took. An item that was not judged has a reason instead. `texts_help` says whether the texts of
    the classes help. If "average" was chosen, `members` are what it averages, each with its weight and temperature.
    """

    chosen: str
    why: str
    texts_help: str
    judged_by: str
    tried: tuple[Mapping[str, Any], ...]
    members: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Choice":
        """Build a Choice from the values of `to_dict`."""
        texts = {name: str(values[name]) for name in ("chosen", "why", "texts_help", "judged_by")}
        return cls(tried=tuple(values["tried"]), members=tuple(values.get("members", ())), **texts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: tried, chosen, members, why, texts_help, judged_by."""
        return {
            "tried": [dict(one) for one in self.tried],
            "chosen": self.chosen,
            "members": [dict(one) for one in self.members],
            "why": self.why,
            "texts_help": self.texts_help,
            "judged_by": self.judged_by,
        }

    def lines(self) -> list[str]:
        """Return one row for each candidate, and below them the reason for the choice."""
        return [*(table(*self._cells()) if self.tried else ()), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = []
        for one in self.tried:
            low, high = one["interval"] or (0.0, 0.0)
            score = percent(one["score"]) if one["score"] is not None else ""
            interval = f"{100 * low:.1f}-{100 * high:.1f}" if one["interval"] else ""
            said = "chosen" if one["name"] == self.chosen else one["reason"]
            rows.append((one["name"], score, interval, str(one["videos"] or ""), duration(one["seconds"]), said))
        return ("tried", "top-1", "95 %", "videos", "took", ""), rows

    def _below(self) -> list[str]:
        return [
            f"judged by {self.judged_by}",
            f"chosen: {self.chosen}; {self.why}",
            *([f"averaged: {', '.join(map(_member, self.members))}"] if self.members else []),
            *([self.texts_help] if self.texts_help else []),
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


def _member(one: Mapping[str, Any]) -> str:
    return f"{one['name']} (weight {one['weight']:.2f}, temperature {one['temperature']:.2g})"
