"""LabelTable: a label for every video of a store, a folder or a list, counted, and written as a CSV."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.labels import Labels
from framebank.library.table import html_table, table
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.labelling.table import Labelled
    from framebank.store.ledger import Failure

MOST_LABELS = 10


@dataclass(frozen=True, repr=False)
class LabelTable:
    """What became of the videos. It prints as the command `predict` does.

    `labels` holds every video with its labels, and the videos that `failed`. If a CSV was written and nothing was kept,
    it holds the failures only. `counts` has how many videos got each label, and `num_unknown` how many passed no
    threshold.
    """

    labels: Labels
    counts: Counter[str]
    num_unknown: int
    num_unsure: int
    made_by: dict[str, str | None]
    csv: Path | None = None
    top: int = 3

    @property
    def failed(self) -> "tuple[Failure, ...]":
        """The videos that have no label, with the reason."""
        return self.labels.failed

    def to_dict(self) -> dict[str, Any]:
        """Return the videos, the counts and what gave the labels, as plain values."""
        return {
            **self.labels.to_dict(top=self.top),
            **self._totals(),
            "csv": str(self.csv) if self.csv else None,
            "made_by": self.made_by,
        }

    def lines(self) -> list[str]:
        """Return a row for each video; if a CSV was written, for each of the most frequent labels."""
        lines = table(*self._most()) if self.csv else Labels(self.labels.labelled).lines(top=self.top)
        return [*lines, *self._below()]

    def _totals(self) -> dict[str, int]:
        return {"labelled": self.counts.total(), "unknown": self.num_unknown, "unsure": self.num_unsure}

    def _most(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        most = self.counts.most_common(MOST_LABELS)
        return ("label", "videos"), [(name, str(count)) for name, count in most]

    def _below(self) -> list[str]:
        rest = len(self.counts) - MOST_LABELS if self.csv else 0
        more = [f"and {counted(rest, 'label')} more"] if rest > 0 else []
        told = ", ".join(f"{count} {name}" for name, count in self._totals().items() if count or name == "labelled")
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return [*more, f"{told}{failed}{f' -> {self.csv}' if self.csv else ''}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._most(), below=self._below())


@dataclass
class LabelTally:
    """The counts so far. The videos are kept only with `keeps`; the failures are always kept."""

    keeps: bool
    told: "list[Labelled]" = field(default_factory=list)
    failed: "list[Failure]" = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    num_unsure: int = 0
    num_unknown: int = 0

    def count(self, found: "Iterable[Labelled | Failure]") -> "Iterator[Labelled]":
        """Yield the videos that have a label, and count all videos."""
        from framebank.store.ledger import Failure

        for one in found:
            if isinstance(one, Failure):
                self.failed.append(one)
                continue
            self.counts[one.label] += 1
            self.num_unsure += one.unsure
            self.num_unknown += one.by is None
            if self.keeps:
                self.told.append(one)
            yield one

    def require_some(self, videos: Sequence[object]) -> None:
        """Raise DataError, with the first reason, if the table would be empty."""
        if not self.counts:
            where = listed(videos, most=3)
            raise DataError(
                f"{where}: none of {counted(len(self.failed), 'video')} could be labelled; the first: "
                f"{self.failed[0].reason}"
            )
