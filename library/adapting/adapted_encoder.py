"""AdaptedEncoder: the weights that an adaptation gave, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.library.checks import typed
from framebank.library.table import percent
from framebank.store.counts import counted


@typed
@dataclass(frozen=True)
class AdaptedEncoder:
    """An encoder whose last blocks were trained. `weights` is the file that `extract` takes as `pretrained`.

    `val_score` is the top-1 on the validation videos in the epoch that was kept, the mAP if videos have several labels,
    or None without such videos.
    `num_frames` is how many frames of a clip its adapters read together, or 0 if each frame stands for itself.
    `text_adapter` tells whether its text tower was adapted too.
    """

    path: Path
    weights: Path
    model: str
    method: str
    blocks: int
    trained_parameters: int
    val_score: float | None
    train_videos: int
    val_videos: int
    epoch: int
    epochs: int
    loss: float | None
    num_frames: int
    seconds: float
    text_adapter: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name: the contract for scripts."""
        paths = {"adapted": str(self.path), "weights": str(self.weights)}
        names = ("model", "method", "blocks", "trained_parameters", "val_score", "train_videos", "val_videos")
        more = ("epoch", "epochs", "loss", "num_frames", "seconds", "text_adapter")
        return {**{name: getattr(self, name) for name in (*names, *more)}, **paths}

    def lines(self) -> list[str]:
        """Return the figures as text, and the command that uses the weights."""
        frames = self.num_frames or "N"
        towers = ", of both towers," if self.text_adapter else ""
        judged = (
            "no validation videos: the last epoch is kept"
            if self.val_score is None
            else f"score on {counted(self.val_videos, 'validation video')} {percent(self.val_score)} in epoch "
            f"{self.epoch} of {self.epochs}, which is kept"
        )
        return [
            f"the last {counted(self.blocks, 'block')} of {self.model}{towers} by {self.method}, "
            f"{self.trained_parameters:,} numbers trained on {counted(self.train_videos, 'video')} in "
            f"{self.seconds:.1f} s -> {self.path}",
            judged if self.loss is None else f"loss {self.loss:.4f}, {judged}",
            f"next: framebank extract VIDEOS STORE --model {self.model} --pretrained {self.path} --frames {frames}",
        ]
