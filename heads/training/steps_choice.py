"""StepsChoice: AdamW's steps or whitened ones, whichever a training keeps, by a test on its validation videos."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from framebank.store.counts import counted

ADAMW, WHITENED, EITHER = "adamw", "whitened", "either"
NO_VAL = "there are no validation videos to compare others on"
LEVEL = 0.05  # whitened steps are taken below it
PART = 8  # after one part of so many of the epochs, whitened steps end that are not better by then
ALL_SIGNS = 12  # sources, whose signs are all tried; those of more are drawn
DRAWS = 10_000
AT_ONCE = 1 << 20  # signs that are drawn at once


@dataclass(frozen=True)
class StepsChoice:
    """The steps that were kept, why, the chance of such a gain by luck, and both losses on the validation videos.

    The chance and the losses are None where nothing was compared. They are of the end, or of the epoch in which the
    whitened steps ended. If these were chosen, `log` has for each epoch their loss, validation score and validation
    loss.
    """

    chosen: str
    why: str
    p_value: float | None = None
    loss: float | None = None
    whitened_loss: float | None = None
    log: tuple[tuple[float, float, float], ...] = ()

    @classmethod
    def of(
        cls, losses: Tensor, whitened: Tensor, groups: np.ndarray, *, what: str = "validation video", early: int = 0
    ) -> "StepsChoice":
        """Choose by the cross-entropies of the same V videos (V,) in nats, and their sources (V,).

        AdamW stays unless the whitened steps are clearly better. `what` is the word for such a video. A choice after
        the `first_part` of a training is `early`, which is the number of all its epochs.
        """
        p_value = gain_by_chance((losses - whitened).double().cpu().numpy(), groups)
        chosen = WHITENED if p_value < LEVEL else ADAMW
        first, second = float(losses.mean()), float(whitened.mean())
        sources = len(np.unique(groups))
        by = counted(len(losses), what)
        by = by if sources == len(losses) else f"{by} of {counted(sources, 'source')}"
        after = f" after {first_part(early)} of {early} epochs" if early else ""
        clearly = "they are clearly better" if chosen == WHITENED else "whitened ones are not clearly better"
        why = f"{clearly}: loss {second:.3f}, AdamW's {first:.3f}, on {by}{after} (p {p_value:.2g})"
        return cls(chosen, why, p_value, first, second)

    def to_dict(self) -> dict[str, Any]:
        """Return its facts as plain values."""
        numbers = {"p_value": self.p_value, "loss": self.loss, "whitened_loss": self.whitened_loss}
        return {"chosen": self.chosen, "why": self.why, **{k: v for k, v in numbers.items() if v is not None}}


def gain_by_chance(gains: np.ndarray, groups: np.ndarray) -> float:
    """Return how often signs by chance make the gains of V videos (V,) as large, summed by source (V,): the p-value.

    If neither way is better, a source gains as likely as it loses, by as much. So the signs of the sources' sums are
    changed: in all ways for up to ALL_SIGNS sources, in DRAWS ways for more (Fisher 1935). It is 1 where a gain is not
    a number.
    """
    if not np.isfinite(gains).all():
        return 1.0
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], gains)
    drawn = np.concatenate([((1 - 2 * flipped) * sums).sum(1) for flipped in _flips(len(sums))])
    return float((drawn >= drawn[0] - 1e-12 * np.abs(sums).sum()).mean())


def _flips(count: int) -> Iterator[np.ndarray]:
    """Yield which signs of so many sources are changed, (N, G) of 0 and 1, some ways at a time; the first changes none.

    Thousands of sources would take gigabytes at once.
    """
    if count <= ALL_SIGNS:
        yield np.arange(2**count)[:, None] >> np.arange(count) & 1
        return
    rng, each = np.random.default_rng(0), max(AT_ONCE // count, 1)
    for first in range(0, DRAWS, each):
        flipped = rng.integers(2, size=(min(each, DRAWS - first), count))
        if not first:
            flipped[0] = 0
        yield flipped


def log_rows(log: Tensor) -> tuple[tuple[float, float, float], ...]:
    """Return the loss, the score and the validation loss of each epoch, (epochs, 3), as plain numbers."""
    return tuple((loss, score, val_loss) for loss, score, val_loss in log.tolist())


def first_part(epochs: int) -> int:
    """Return the epoch after which whitened steps end that are not clearly better, of so many epochs."""
    return math.ceil(epochs / PART)
