"""Tracking: the epochs of a training for TensorBoard, MLflow or Weights & Biases, behind one small writer."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from framebank.library.watch import Watch
from framebank.store.lazy import require

T = TypeVar("T")
NUMBERS = ("loss", "lr", "val_score", "seconds")  # of each epoch
Write = Callable[[str, float, int], None]  # the name of a number, the number, and the epoch


@contextmanager
def tensorboard(run: Path) -> Iterator[Write]:
    """Write event files into the folder of the run. DataError without TensorBoard."""
    require("tensorboard", extra="tensorboard", what="--track tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run)) as writer:
        yield writer.add_scalar


@contextmanager
def mlflow(run: Path) -> Iterator[Write]:
    """Write a run of MLflow where its own settings say (MLFLOW_TRACKING_URI). DataError without MLflow."""
    library = require("mlflow", extra="mlflow", what="--track mlflow")
    with library.start_run(run_name=run.name):
        yield lambda name, value, step: library.log_metric(name, value, step=step)


@contextmanager
def wandb(run: Path) -> Iterator[Write]:
    """Write a run of Weights & Biases where its own settings say (WANDB_MODE, WANDB_PROJECT). DataError without it."""
    library = require("wandb", extra="wandb", what="--track wandb")
    run.mkdir(parents=True, exist_ok=True)
    with library.init(name=run.name, dir=str(run)) as written:
        yield lambda name, value, step: written.log({name: value}, step=step)


TRACKERS: Mapping[str, Callable[[Path], AbstractContextManager[Write]]] = {
    "tensorboard": tensorboard,
    "mlflow": mlflow,
    "wandb": wandb,
}


def watching_trackers(run: Path, watch: Watch, names: Iterable[str]) -> Watch:
    """Return a watch that shows what another shows, and writes the epochs among it for each of TRACKERS in `names`.

    DataError without the library of one of them, which has its name.
    """
    names = tuple(names)
    for name in names:
        require(name, extra=name, what=f"--track {name}")

    def watched(items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
        shown: Iterator[Any] = watch(items, total=total, unit=unit, title=title)
        for name in names if unit == "epoch" else ():
            shown = tracked(run, shown, name)
        return shown

    return watched


def tracked(run: Path, epochs: Iterable[Any], name: str) -> Iterator[Any]:
    """Pass epochs on, and write loss, learning rate and validation score of each. DataError without the library."""
    with TRACKERS[name](run) as write:
        for epoch in epochs:
            for number in NUMBERS:
                if not math.isnan(value := getattr(epoch, number)):
                    write(number, value, epoch.number)
            yield epoch
