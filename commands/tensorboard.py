"""TensorBoard: the epochs of a training as an event file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framebank.heads.training.loop import Epoch


def tensorboard_of(run: Path, epochs: "Iterable[Epoch]") -> "Iterator[Epoch]":
    """Pass epochs on, writing loss, learning rate and validation score of each; DataError without TensorBoard."""
    from framebank.store.lazy import require

    require("tensorboard", extra="tensorboard", what="--tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run)) as writer:
        for epoch in epochs:
            for name in ("loss", "lr", "val_score", "seconds"):
                writer.add_scalar(name, getattr(epoch, name), epoch.number)
            yield epoch
