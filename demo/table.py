"""The demo's table: how many test clips each method got right, in total and in the parts that matter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.demo.actions import ACTIONS
from framebank.demo.pairs import count_within_pairs
from framebank.heads.metrics import wilson_interval
from framebank.heads.predictions import Predictions
from framebank.library.labels import Labels
from framebank.library.table import table

NOVEL = frozenset(action.name for action in ACTIONS if action.novel)
HEADER = ("", "top-1", "95 %", "base", "novel", "within pairs", "95 %", "in loops", "seconds")


@dataclass(frozen=True)
class Row:
    """One line: (right, of how many) for all test clips and for parts of them, and the seconds from the store."""

    method: str
    everything: tuple[int, int]
    base: tuple[int, int]
    novel: tuple[int, int]
    pairs: tuple[int, int]
    looped: tuple[int, int]
    seconds: float

    def report(self) -> dict[str, Any]:
        """Return the fractions and intervals by name."""
        parts = {"top1": self.everything, "base": self.base, "novel": self.novel}
        parts |= {"pairs": self.pairs, "looped": self.looped}
        return {
            "method": self.method,
            **{name: right / total for name, (right, total) in parts.items()},
            "top1_interval": wilson_interval(*self.everything),
            "pairs_interval": wilson_interval(*self.pairs),
            "looped_interval": wilson_interval(*self.looped),
            "videos": self.everything[1],
            "seconds": round(self.seconds, 2),
        }


def predictions_of(found: Labels, labels: Sequence[str]) -> Predictions:
    """Return the scores (V, C) of labelled videos. Each of them lists all of its classes."""
    scores = [dict(one.answers[0].ranked) for one in found]
    return Predictions(
        tuple(one.video.video_id for one in found),
        np.array([[of_video[name] for name in labels] for of_video in scores]),
        np.array([labels.index(one.video.label) for one in found]),
        tuple(labels),
    )


def count(predictions: Predictions, *, method: str, takes: Mapping[str, str], seconds: float) -> Row:
    """Return the line for some predictions."""
    right = predictions.scores.argmax(1) == predictions.targets
    novel = np.array([predictions.labels[target] in NOVEL for target in predictions.targets])
    return Row(
        method=method,
        everything=(int(right.sum()), len(right)),
        base=(int(right[~novel].sum()), int((~novel).sum())),
        novel=(int(right[novel].sum()), int(novel.sum())),
        pairs=count_within_pairs(predictions, takes=takes),
        looped=count_within_pairs(predictions, takes=takes, take="loop"),
        seconds=seconds,
    )


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Return the table, with an explanation of its columns above it."""
    cells = [
        (
            row.method,
            _percent(row.everything),
            _interval(row.everything),
            _percent(row.base),
            _percent(row.novel),
            _percent(row.pairs),
            _interval(row.pairs),
            _percent(row.looped),
            f"{row.seconds:.1f}",
        )
        for row in rows
    ]
    first = rows[0]
    return [
        f"Accuracy on {first.everything[1]} test videos, in %. Novel: classes whose names the encoder never read.",
        f"Within pairs: an action or its reversal ({first.pairs[1]} videos), chance is 50. In loops: those of them",
        f"whose first and last pose are the same ({first.looped[1]}), so that only the order between tells.",
        "",
        *table(HEADER, cells, align="l" + "r" * (len(HEADER) - 1)),
    ]


def _percent(counts: tuple[int, int]) -> str:
    return f"{100 * counts[0] / counts[1]:.1f}"


def _interval(counts: tuple[int, int]) -> str:
    low, high = wilson_interval(*counts)
    return f"{100 * low:.0f}-{100 * high:.0f}"
