"""A store of the demo encoder that keeps what enters its last two blocks, made of pictures of noise in two colours."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framebank.extract.encoders.encoder import Encoder
from framebank.heads.training.job import TrainingJob
from framebank.library.adapting import adapt
from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video

LABELS = ("waving", "clapping")
NUM_FRAMES = 4


@dataclass(frozen=True)
class TrunkWorld:
    """The store, and the pictures (V, T, S, S, 3) that its rows were made of."""

    store: FeatureStore
    pixels: np.ndarray


def write_trunk_world(
    folder: Path, *, each: int = 6, num_frames: int = NUM_FRAMES, pretrained: str | None = None
) -> TrunkWorld:
    """Write a store of `each` training videos and two validation videos of each class."""
    encoder = Encoder("demo", pretrained, device="cpu", precision="fp32", streams="frame,trunk:2")
    folder.mkdir(exist_ok=True)
    videos, pixels = [], []
    rng = np.random.default_rng(0)
    with ShardWriter(folder, replace(encoder.spec, sampling=f"segments:{num_frames}", decoder="none")) as writer:
        for number in range(each + 2):
            for place, label in enumerate(LABELS):
                frames = rng.integers(0, 200, (num_frames, *encoder.preprocessing.size, 3), dtype=np.uint8)
                frames[..., place] += 55
                streams = encoder.encode_frames(frames)
                name = f"{label}-{number}"
                rows = Embeddings(
                    streams["frame"],
                    np.arange(num_frames) / 10,
                    np.arange(num_frames),
                    streams={"trunk": streams["trunk"]},
                )
                writer.add(name, rows)
                videos.append(Video(name, Path(f"{name}.mp4"), label=label, split="train" if number < each else "val"))
                pixels.append(frames)
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    return TrunkWorld(FeatureStore(folder), np.stack(pixels))


def noted_at_the_end(patch: pytest.MonkeyPatch, note: Callable[[TrainingJob], dict[str, Any]]) -> dict[str, Any]:
    """Return a dict that gets what `note` tells of the training of an adaptation, before its weights are written."""
    kept: dict[str, Any] = {}
    write = adapt._write

    def noting(made: Any, encoder: Any, lives: Any, job: TrainingJob, log: Any) -> None:
        with torch.no_grad():
            kept.update(note(job))
        write(made, encoder, lives, job, log)

    patch.setattr(adapt, "_write", noting)
    return kept
