"""An encoder for workers of a cluster that die on the way; their processes import it by its name."""

import os
import signal
from pathlib import Path
from typing import Any

from framebank.tests.worlds.store import SPEC, FakeEncoder


class MortalEncoder(FakeEncoder):
    """The made-up encoder, which writes into `diary` which device it was asked to use.

    At its third batch its process is killed, as long as there are files in `diary`/deaths: each death takes one.
    """

    def __init__(self, diary: Path, *, device: str) -> None:
        super().__init__()
        self.deaths = diary / "deaths"
        (diary / f"worker-{os.getpid()}").write_text(f"{device} {os.environ.get('CUDA_VISIBLE_DEVICES')}")

    def start(self, pixels: Any) -> Any:
        if len(self.batches) >= 2 and (deaths := sorted(self.deaths.iterdir())):
            deaths[0].unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().start(pixels)


def fake_version() -> str:
    return SPEC.decoder
