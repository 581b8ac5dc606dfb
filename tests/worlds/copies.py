"""A made-up world for the tests of copies: recordings whose rows move on smoothly, sampled at any times, with noise."""

from pathlib import Path

import numpy as np

from framebank.store import Embeddings, FeatureSpec, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.vectors import unit
from framebank.tests.worlds.heads import SPEC

DIM = SPEC.dim
MOVES = 6  # of one recording, each along a direction of its own


def at(recording: int, times: np.ndarray) -> np.ndarray:
    """What a recording shows at some seconds (T,): unit rows (T, DIM), the same ones whenever it is asked."""
    rng = np.random.default_rng([recording])
    place, ways = rng.normal(size=DIM), rng.normal(size=(MOVES, DIM))
    speeds, phases = rng.uniform(0.2, 0.7, size=MOVES), rng.uniform(0, 2 * np.pi, size=MOVES)
    return unit(place + 0.5 * np.sin(2 * np.pi * speeds * times[:, None] + phases) @ ways)


def sampled(
    parts: list[tuple[int, float, float]], *, speed: float = 1.0, fps: float = 4.0, noise: float = 0.1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The rows (T, DIM) and times (T,) of a video of parts, each a recording from one of its seconds to another."""
    lengths = np.array([(end - start) / speed for _, start, end in parts])
    begins = np.cumsum([0.0, *lengths])
    times = (np.arange(round(begins[-1] * fps)) + 0.5) / fps
    part_of = np.searchsorted(begins, times, side="right") - 1
    rows = np.concatenate(
        [
            at(recording, start + speed * (times[part_of == place] - begins[place]))
            for place, (recording, start, _) in enumerate(parts)
        ]
    )
    return unit(rows + noise * unit(np.random.default_rng([seed, 1]).normal(size=rows.shape))), times


def write_videos(
    folder: Path,
    videos: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    splits: dict[str, str] | None = None,
    spec: FeatureSpec = SPEC,
) -> FeatureStore:
    """Write a store of rows; every other video is of the class "clap", the rest of "wave"."""
    folder.mkdir()
    listed = [
        Video(name, folder / f"{name}.mp4", ("wave", "clap")[number % 2], (splits or {}).get(name, ""))
        for number, name in enumerate(videos)
    ]
    with ShardWriter(folder, spec) as writer:
        for name, (rows, times) in videos.items():
            writer.add(name, Embeddings(rows.astype(np.float16), times, np.arange(len(times))))
    Manifest(tuple(listed)).write(folder / "manifest.csv")
    return FeatureStore(folder)
