"""A made-up world for the tests of store and extract: an encoder of 8 dims and clips without a decoder."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from framebank.store import DataError, Embeddings, FeatureSpec, Manifest, ShardWriter, Video

DIM = 8
SPEC = FeatureSpec(
    model="fake",
    pretrained="tag",
    weights_hash="0123456789abcdef",
    dim=DIM,
    preprocessing="{}",
    precision="cpu-fp32",
    sampling="segments:4",
    decoder="fake 1.0",
)


@dataclass(frozen=True)
class FakeClip:
    data: np.ndarray
    timestamps: np.ndarray
    indices: np.ndarray
    decoder: str = "fake"


def fake_clip(path: Path, num_frames: int = 4) -> FakeClip:
    """Frames decided by the path alone; "bad" paths fail as a DataError, "odd" ones as a decoder does."""
    if "bad" in path.name:
        raise DataError(f"{path}: cannot be decoded")
    if "odd" in path.name:
        raise ZeroDivisionError("no frame rate")
    generator = np.random.default_rng(list(path.name.encode()))
    indices = np.repeat(np.arange(2), 2) if "short" in path.name else np.arange(num_frames)
    frames = generator.integers(0, 256, (len(indices), 2, 2, 3), dtype=np.uint8)
    return FakeClip(frames[indices], indices / 25, indices)


@dataclass
class FakeEncoder:
    """Each embedding is a fixed projection of its own frame's pixels."""

    spec: FeatureSpec = SPEC
    logit_scale: float = 100.0
    batches: list[int] = field(default_factory=list)

    def preprocessing(self, frame: np.ndarray) -> np.ndarray:
        return frame[None]  # one view, (1, 2, 2, 3)

    def encode_frames(self, pixels: Tensor) -> dict[str, np.ndarray]:
        self.batches.append(len(pixels))
        flat = pixels.numpy().astype(np.float32).reshape(len(pixels), -1)  # (N, 12)
        return {"frame": (flat[:, :DIM] * np.arange(1, DIM + 1) / 64 - flat[:, 4:]).astype(np.float32)}

    def encode_texts(self, texts) -> np.ndarray:
        return np.stack([np.random.default_rng(list(t.encode())).normal(size=DIM) for t in texts]).astype(np.float32)


def videos(*names: str) -> tuple[Video, ...]:
    return tuple(Video(name, Path("/videos") / f"{name}.mp4", label=name[0]) for name in names)


def embeddings(rows: int = 3, *, seed: int = 0) -> Embeddings:
    data = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float16)
    return Embeddings(data=data, timestamps=np.arange(rows) / 25, indices=np.arange(rows))


def make_store(folder: Path, rows: dict[str, int], *, spec: FeatureSpec = SPEC, max_videos: int = 2) -> Path:
    """Write a store whose videos have these numbers of rows, each drawn by its place."""
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, spec, max_videos=max_videos) as writer:
        for seed, (video_id, count) in enumerate(rows.items()):
            writer.add(video_id, embeddings(count, seed=seed), decoder=f"d{seed}")
    Manifest(videos(*rows)).write(folder / "manifest.csv")
    return folder
