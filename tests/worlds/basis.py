"""A store of sources of three clips, whose rows may stand in the basis of a PCA of all of them.

In such a basis the numbers of all rows are uncorrelated: those that train are correlated the other way round than those
that are held out, and AdamW, which scales each number of a weight alone, learns what is wrong for these.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.tests.worlds.heads import SPEC

CLASSES, SOURCES, CLIPS, DIM = ("leap", "spin", "wave"), 10, 3, 96
HELD_OUT = 2  # sources of each class, in the split "val"


def write_basis(folder: Path, *, turned: bool, seed: int = 0) -> FeatureStore:
    """Write it, the rows as they were drawn, or `turned` into the basis of their PCA."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, DIM + 1) ** -0.5
    means = rng.normal(size=(len(CLASSES), 1, 1, DIM))
    sources = rng.normal(size=(len(CLASSES), SOURCES, 1, DIM))
    clips = 0.3 * rng.normal(size=(len(CLASSES), SOURCES, CLIPS, DIM))
    rows = ((means + sources + clips) * spread).reshape(-1, DIM)
    rows = rows @ np.linalg.svd(rows)[2].T if turned else rows
    videos = []
    for place in range(len(rows)):
        source, clip = divmod(place, CLIPS)
        label, split = CLASSES[source // SOURCES], "val" if source % SOURCES < HELD_OUT else "train"
        name = f"{label}-{source:02d}-{clip}"
        videos.append(Video(name, folder / f"{name}.mp4", label, split, group=f"{source:02d}"))
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    with ShardWriter(folder, replace(SPEC, dim=DIM)) as writer:
        for video, row in zip(videos, rows, strict=True):
            writer.add(video.video_id, Embeddings(row[None].astype(np.float16), np.zeros(1), np.zeros(1, dtype=int)))
    return FeatureStore(folder)
