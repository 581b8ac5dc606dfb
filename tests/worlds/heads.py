"""A small world for the tests of heads: a store whose classes are known to be separable, and the prompts of them.

"wave" and "clap" lie in directions of their own; "rise" goes from one direction to another and "fall" is its reversal,
so that only a head which sees the order tells them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framebank.heads import HEADS
from framebank.heads.class_texts import ClassTexts
from framebank.store import Embeddings, FeatureSpec, FeatureStore, LabelSet, Manifest, PromptBank, ShardWriter, Video

FRAME_HEADS = [name for name, head in HEADS.items() if not head.traits.reads_layers]
DIM = 16
NUM_FRAMES = 8
CLASSES = ("wave", "clap", "rise", "fall")
LABELS = LabelSet(CLASSES)
VIEWS, CLIPS = 2, 3  # of each video, where there are several
SPLITS = {"train": 12, "val": 3, "test": 5}
SPEC = FeatureSpec(
    model="tiny",
    pretrained="",
    weights_hash="0123456789abcdef",
    dim=DIM,
    preprocessing="none",
    precision="fp32",
    sampling=f"segments:{NUM_FRAMES}",
    decoder="none",
)


@dataclass(frozen=True)
class World:
    store: FeatureStore
    prompts: PromptBank

    @property
    def manifest(self) -> Manifest:
        return self.store.manifest


def frames_of(label: str, rng: np.random.Generator, *, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """(T, D) of a class: axis 0 or 1 for two, from axis 2 to axis 3 or back for the others; norms vary."""
    along = np.linspace(0, 1, num_frames)
    clean = np.zeros((num_frames, DIM))
    if label in ("wave", "clap"):
        clean[:, CLASSES.index(label)] = 1
    else:
        clean[:, 2], clean[:, 3] = 1 - along, along
    clean = clean[::-1] if label == "fall" else clean
    return (clean + 0.05 * rng.normal(size=clean.shape)) * rng.uniform(3, 9, size=(num_frames, 1))


def row(data: np.ndarray, *, indices: np.ndarray | None = None) -> Embeddings:
    indices = np.arange(len(data)) * 3 if indices is None else indices
    return Embeddings(data.astype(np.float16), indices / 10, indices)


def write_world(
    folder: Path,
    *,
    spec: FeatureSpec = SPEC,
    classes: tuple[str, ...] = CLASSES,
    splits: Mapping[str, int] = SPLITS,
    seed: int = 0,
) -> World:
    """Write a store of three shards: the splits, with so many videos of each class, and four odd videos.

    "short" repeats frames, "ragged" has fewer rows, "lost" has no embedding and "unknown" no label.
    """
    rng = np.random.default_rng(seed)
    videos = [
        Video(f"{label}-{split}-{number}", folder / f"{label}-{split}-{number}.mp4", label, split)
        for split, count in splits.items()
        for label in classes
        for number in range(count)
    ]
    rows = {video.video_id: row(frames_of(video.label, rng)) for video in videos}
    repeats = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    rows["short"] = row(frames_of("wave", rng, num_frames=3)[repeats], indices=repeats)
    rows["ragged"] = row(frames_of("clap", rng, num_frames=5))
    rows["unknown"] = row(frames_of("clap", rng))
    videos += [
        Video("short", folder / "short.mp4", "wave", "test"),
        Video("ragged", folder / "ragged.mp4", "clap", "test"),
        Video("lost", folder / "lost.mp4", "clap", "test"),
        Video("unknown", folder / "unknown.mp4", "", "test"),
    ]
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    with ShardWriter(folder, spec, max_videos=30) as writer:
        for video_id in rng.permutation(list(rows)):
            writer.add(str(video_id), rows[video_id])
    return World(FeatureStore(folder), prompts_of(classes, spec=spec))


def write_groups(folder: Path, *, num_views: int, num_clips: int, num_frames: int = NUM_FRAMES, seed: int = 0) -> World:
    """Write a store with several views and clips of each video, each drawn anew.

    "still" repeats one frame throughout, "ragged" has fewer rows in each group.
    """
    rng = np.random.default_rng(seed)
    videos = [
        Video(f"{label}-{split}-{number}", folder / f"{label}-{split}-{number}.mp4", label, split)
        for split, count in SPLITS.items()
        for label in CLASSES
        for number in range(count)
    ]
    odd = [Video(name, folder / f"{name}.mp4", "clap", "test") for name in ("still", "ragged")]
    Manifest((*videos, *odd)).write(folder / "manifest.csv")
    with ShardWriter(folder, replace(SPEC, sampling=f"clips:{num_clips}x{num_frames}", view="centre+flip")) as writer:
        for video in (*videos, *odd):
            length = num_frames - 3 if video.video_id == "ragged" else num_frames
            clips = [frames_of(video.label, rng, num_frames=length) for _ in range(num_views * num_clips)]
            view, clip, frame = (axis.ravel() for axis in np.indices((num_views, num_clips, length)))
            indices = 0 * frame if video.video_id == "still" else clip * length + frame
            data = np.concatenate(clips).astype(np.float16)  # (R, D)
            writer.add(video.video_id, Embeddings(data, indices / 10, indices, view, clip))
    return World(FeatureStore(folder), prompts_of())


def texts_of(prompts: PromptBank, *, scoring: str = "probabilities") -> ClassTexts:
    return ClassTexts.of(prompts, scoring=scoring)


def prompts_of(classes: tuple[str, ...] = CLASSES, *, spec: FeatureSpec = SPEC, num_templates: int = 3) -> PromptBank:
    """Three texts for each class near an axis of its own: the class's of "wave" and "clap", another of the others."""
    rng = np.random.default_rng(1)
    axes = np.eye(spec.dim)[[CLASSES.index(name) + (4 if name in ("rise", "fall") else 0) for name in classes]]
    embeddings = np.repeat(axes, num_templates, axis=0)
    embeddings = embeddings + 0.05 * rng.normal(size=embeddings.shape)
    return PromptBank(
        labels=LabelSet(classes),
        texts=tuple(f"{name} {number}" for name in classes for number in range(num_templates)),
        embeddings=(embeddings * rng.uniform(2, 5, size=(len(embeddings), 1))).astype(np.float32),
        template=np.tile(np.arange(num_templates), len(classes)),
        end=num_templates * np.arange(1, len(classes) + 1),
        templates=tuple(f"{{}} {number}" for number in range(num_templates)),
        kind="names",
        encoder=replace(spec, sampling="", decoder=""),
        logit_scale=20.0,
    )
