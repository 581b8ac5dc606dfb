"""Stores whose videos have several labels: made-up frames that are the sum of an axis for each, or rendered clips."""

import csv
from pathlib import Path

import numpy as np

from framebank.store import FeatureStore, Manifest, ShardWriter, Video
from framebank.tests.worlds.heads import CLASSES, DIM, NUM_FRAMES, SPEC, World, prompts_of, row

SPLITS = {"train": 60, "val": 20, "test": 40}


def write_several(folder: Path, *, only: dict[str, tuple[str, ...]] | None = None, noise: float = 0.6) -> World:
    """Write the store; `only` names the classes that the videos of a split have."""
    rng = np.random.default_rng(0)
    axes = np.eye(DIM)[[0, 1, 6, 7]]  # those of the prompts
    with ShardWriter(folder, SPEC, max_videos=50) as writer:
        videos = []
        for split, count in SPLITS.items():
            classes = (only or {}).get(split, CLASSES)
            for number in range(count):
                labels = rng.permutation(classes)[: rng.integers(1, 4)]
                clean = axes[[CLASSES.index(label) for label in labels]].sum(0)
                frames = clean + noise * rng.normal(size=(NUM_FRAMES, DIM))
                video_id = f"{split}-{number}"
                videos.append(Video(video_id, folder / f"{video_id}.mp4", ";".join(labels), split))
                writer.add(video_id, row(frames * rng.uniform(3, 9, size=(NUM_FRAMES, 1))))
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    return World(FeatureStore(folder), prompts_of())


def add_labels(store: Path, folder: Path) -> Path:
    """Make a store of the same rows, whose videos have a second label by the first letter of the first; with a val."""
    for path in store.iterdir():
        if path.name != "manifest.csv" and path.is_file():
            (folder / path.name).symlink_to(path)
    with (store / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, each in enumerate(rows):
        each["label"] = f"{each['label']};{'early' if each['label'][0] < 'p' else 'late'}"
        each["split"] = "val" if each["split"] == "train" and number % 3 == 0 else each["split"]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder
