"""Grid: several settings of a recipe are trained on the same videos, and held-out videos choose one of them."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loop import Epoch, LossError, chosen_epoch
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store.errors import DataError, warn


@dataclass(frozen=True)
class TriedSetting:
    """One setting and what it is worth on the held-out videos: the loss and the score of its best epoch.

    Both are None for a training whose loss was no longer a number.
    """

    setting: Mapping[str, Any]
    val_loss: float | None
    val_score: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**self.setting, "val_loss": self.val_loss, "val_score": self.val_score}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.setting.items())


@dataclass(frozen=True)
class GridChoice:
    """The run of the chosen setting with the log of its training, the setting, and all that were tried."""

    run: Run
    log: Sequence[Epoch]
    chosen: TriedSetting
    tried: tuple[TriedSetting, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the setting that was chosen, and all of them, as plain values."""
        return {"chosen": self.chosen.to_dict(), "tried": [one.to_dict() for one in self.tried]}


def settings_of(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return each combination of the values of a grid, by key.

    >>> settings_of({"lr": (0.1, 0.01), "weight_decay": (0.0,)})
    [{'lr': 0.1, 'weight_decay': 0.0}, {'lr': 0.01, 'weight_decay': 0.0}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def train_grid(
    recipe: Recipe, grid: Mapping[str, Sequence[Any]], *, name: str, job_of: Callable[[Recipe], TrainingJob]
) -> GridChoice:
    """Train each setting of a grid, and choose that of the lowest loss on held-out videos, the first if equal.

    They are trained one after the other: `fit_probes` trains them at once, but keeps all their attention weights, which
    are 20 * B * heads * (T * places) ** 2 numbers for each block of V-JEPA 2's decoder at its batch of 256 videos.

    `name` is the part of the protocol, for the messages. One whose loss is no longer a number is passed over with a
    DataWarning. DataError if no video is held out to choose on, or if no setting could be trained.
    """
    best: tuple[Run, list[Epoch], TriedSetting] | None = None
    tried: list[TriedSetting] = []
    for number, setting in enumerate(settings_of(grid)):
        job = job_of(recipe.with_settings({key: json.dumps(value) for key, value in setting.items()}))
        if job.val is None:
            raise DataError(f"{name}: no video is held out to choose among settings; expected a val_fraction above 0")
        for note in job.notes if number == 0 else ():
            warn(f"{name}: {note}")
        one, log = _judged(job, setting, name=name)
        tried.append(one)
        if one.val_loss is not None and (best is None or one.val_loss < (best[2].val_loss or 0.0)):
            best = job.trained(log), log, one
    if best is None:
        raise DataError(f"{name}: none of the {len(tried)} settings could be trained; expected lower learning rates")
    return GridChoice(*best, tuple(tried))


def _judged(job: TrainingJob, setting: dict[str, Any], *, name: str) -> tuple[TriedSetting, list[Epoch]]:
    try:
        log = list(job.epochs())
    except LossError as error:
        one = TriedSetting(setting, None, None)
        warn(f"{name}: {one} is left out: {error}")
        return one, []
    kept = chosen_epoch(log)
    if kept is None:
        raise DataError(f"{name}: a training without epochs has no loss to choose by; expected a recipe with epochs")
    return TriedSetting(setting, kept.val_loss, kept.val_score), log
