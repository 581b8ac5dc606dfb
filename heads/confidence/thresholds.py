"""Thresholds: from which probability on a video has each of several labels, fitted on validation videos."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framebank.heads.confidence.scaling import FEWEST, Scaling
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.formats.document import Fields

VERSION = 1
KEPT = "thresholds"  # their name among the facts of a run
HOLD = 10.0  # labels' worth of all classes together that the counts of each class get
NEVER = 1.0  # no probability is above it


@dataclass(frozen=True)
class LabelThresholds:
    """A video has a label if its probability is above the label's of `values` (C,); 1 is never.

    The probabilities are those of the model before its scaling, so a temperature changes no label. They were fitted on
    `videos` for the best F1 of each label, or for the share `precision` of right ones among those that are given.
    """

    values: tuple[float, ...]
    videos: int
    precision: float | None = None

    def under(self, scaling: Scaling | None) -> np.ndarray:
        """Return the same thresholds for the probabilities that a scaling makes, (C,) float64."""
        found = torch.tensor(self.values, dtype=torch.double)
        return np.asarray((scaling.apply(found.logit(), multi_label=True).sigmoid() if scaling else found).numpy())

    def to_dict(self) -> dict[str, Any]:
        """Return them as the plain values that a checkpoint keeps."""
        return {"version": VERSION, "values": list(self.values), "videos": self.videos, "precision": self.precision}

    @classmethod
    def read(cls, said: Mapping[str, Any], *, num_classes: int, where: object) -> "LabelThresholds":
        """Return what `to_dict` gave. DataError if the number of classes differs, or if a later version wrote it."""
        found = Fields.of(said, where=f"{where}: thresholds")
        if found.whole("version") != VERSION:
            raise found.refuse("version", f"{VERSION}, which this framebank knows")
        values = found.numbers("values")
        if len(values) != num_classes or not all(0 <= value <= 1 for value in values):
            raise found.refuse("values", f"a probability for each of the {num_classes} classes")
        precision = None if found.values.get("precision") is None else found.number("precision")
        return cls(values, found.whole("videos", least=1), precision)


def fit_thresholds(logits: Tensor, target: Tensor, *, precision: float | None = None) -> LabelThresholds:
    """Return the thresholds of best F1 for each class on validation videos: logits (V, C), target (V, C) of 0 or 1.

    With `precision`, it is the lowest threshold above which that share of the labels is right; a class that never
    reaches it is never given. A class of few videos says little (Fan and Lin 2007, "A study on threshold selection for
    multi-label classification"), so each class is counted with HOLD labels' worth of all classes together: their right
    and wrong labels above the same threshold. A class without a video has wrong labels only, so its threshold lies
    among its highest probabilities. DataError if there are fewer than FEWEST videos, or if none has a label.
    """
    scores, hits = logits.detach().double().sigmoid().cpu().numpy(), target.cpu().numpy() > 0
    if len(scores) < FEWEST:
        few = counted(len(scores), "validation video")
        raise DataError(f"there are {few} to fit thresholds by; expected {FEWEST} or more")
    if not hits.any():
        raise DataError("no validation video has a label to fit thresholds by")
    every = _Counts(scores.ravel(), hits.ravel())
    values = tuple(_best(scores[:, place], hits[:, place], every, precision) for place in range(scores.shape[1]))
    return LabelThresholds(values, len(scores), precision)


class _Counts:
    """How many labels are given above a threshold, and how many of them are right."""

    def __init__(self, scores: np.ndarray, hits: np.ndarray) -> None:
        self.given, self.right = np.sort(scores), np.sort(scores[hits])

    def above(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Return how many are given and right above each cut (N,), and how many there are to find."""
        given, right = (len(each) - np.searchsorted(each, cuts, side="right") for each in (self.given, self.right))
        return given, right, len(self.right)


def _best(scores: np.ndarray, hits: np.ndarray, every: _Counts, precision: float | None) -> float:
    """The threshold of one class, between two of its scores (V,)."""
    known = np.unique(scores)
    cuts = np.concatenate([[known[0] / 2], (known[:-1] + known[1:]) / 2])
    own = _Counts(scores, hits).above(cuts)
    all_given, all_right, all_there = every.above(cuts)
    given = own[0] + HOLD * all_given / all_there
    right = own[1] + HOLD * all_right / all_there
    if precision is None:
        return float(cuts[(right / (given + own[2] + HOLD)).argmax()])
    enough = np.flatnonzero(right >= precision * given)
    return float(cuts[enough[0]]) if len(enough) else NEVER
