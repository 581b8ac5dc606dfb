"""Encoders for the workers of a cluster that are lost on the way; processes of the cluster import them by name."""

import os
import signal
from pathlib import Path
from typing import Any

from framebank.extract.encoder import Encoder


class MortalEncoder(Encoder):
    """The demo's encoder, whose process is killed at its third batch; `lives` are files that each death takes one of."""

    def __init__(self, lives: Path, **options: Any) -> None:
        super().__init__("demo", **options)
        self.lives = lives
        self.batches = 0

    def start(self, pixels: Any) -> Any:
        self.batches += 1
        life = next(iter(sorted(self.lives.iterdir())), None)
        if self.batches >= 3 and life:
            life.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().start(pixels)


