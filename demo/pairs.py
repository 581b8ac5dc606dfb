"""Pairs: how often the right action of a reversed pair is chosen. Chance is one half."""

from collections.abc import Mapping

import numpy as np

from framebank.demo.actions import ACTIONS
from framebank.heads.predictions import Predictions

REVERSE = {action.name: action.reverse for action in ACTIONS if action.reverse}
REVERSE |= {reverse: name for name, reverse in REVERSE.items()}


def count_within_pairs(
    predictions: Predictions, *, takes: Mapping[str, str], take: str | None = None
) -> tuple[int, int]:
    """Return (right, of how many): the clips of the pairs whose class scores above its reversal.

    A tie counts as half right, so an answer that does not depend on the order of the frames stays at chance. With
    `take`, only clips of that kind count: "loop" clips have the same first and last pose.
    """
    position = {name: number for number, name in enumerate(predictions.labels)}
    halves, total = 0, 0
    for video_id, scores, target in zip(predictions.video_ids, predictions.scores, predictions.targets, strict=True):
        name = predictions.labels[target]
        if name not in REVERSE or (take and takes[video_id] != take):
            continue
        difference = scores[target] - scores[position[REVERSE[name]]]
        halves += 1 + int(np.sign(difference))
        total += 1
    return halves // 2, total
