"""A made-up world for the tests of moments: videos whose rows show one of a few directions, with noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framebank.store.vectors import unit

DIM = 32


@dataclass(frozen=True)
class Shown:
    """Rows (T, D) of length 1 at times (T,), and of which seconds they show the direction that is asked for."""

    rows: np.ndarray
    times: np.ndarray
    start: float
    end: float


def direction(number: int) -> np.ndarray:
    """One of DIM directions, (D,)."""
    return np.eye(DIM, dtype=np.float32)[number]


def video(
    parts: Sequence[tuple[int, float]],
    *,
    asked: int,
    fps: float = 4.0,
    noise: float = 0.6,
    stage: float = 1.0,
    seed: int = 0,
) -> Shown:
    """A video of parts, each a direction and its seconds, every part on a stage of its own.

    `noise` is the length of what is random in each row beside the direction's 1, and `stage` that of what a part's
    rows have in common; 0 has them all on one stage.
    """
    rng = np.random.default_rng(seed)
    rows, start, end, at = [], 0.0, 0.0, 0.0
    for number, seconds in parts:
        count = round(seconds * fps)
        own = unit(rng.normal(size=DIM)) * stage
        rows.append(direction(number) + own + noise * unit(rng.normal(size=(count, DIM))))
        if number == asked:
            start, end = at, at + seconds
        at += seconds
    return Shown(unit(np.concatenate(rows)), (np.arange(round(at * fps)) + 0.5) / fps, start, end)
