"""TensorBoard: the epochs of a training as an event file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from framebank.library.watch import Watch

T = TypeVar("T")


def watching_tensorboard(run: Path, watch: Watch) -> Watch:
    """Return a watch that shows what another shows, and writes the epochs among it for TensorBoard."""

    def watched(items: Iterable[T], *, total: int, unit: str, title: str | None = None) -> Iterator[T]:
        shown = watch(items, total=total, unit=unit, title=title)
        return tensorboard_of(run, shown) if unit == "epoch" else shown

    return watched


def tensorboard_of(run: Path, epochs: Iterable[Any]) -> Iterator[Any]:
    """Pass epochs on, writing loss, learning rate and validation score of each; DataError without TensorBoard."""
    from framebank.store.lazy import require

    require("tensorboard", extra="tensorboard", what="--tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run)) as writer:
        for epoch in epochs:
            for name in ("loss", "lr", "val_score", "seconds"):
                writer.add_scalar(name, getattr(epoch, name), epoch.number)
            yield epoch
