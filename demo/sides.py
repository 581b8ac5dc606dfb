"""Sides: clips in which two figures share the picture, and only their places tell the classes apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from framebank.demo.actions import BY_NAME
from framebank.demo.backdrop import Bytes
from framebank.demo.clips import render_each, write_frames
from framebank.demo.motion import FPS, draw_motion
from framebank.demo.scene import SIZE, Scene
from framebank.demo.stage import set_stage
from framebank.store.files.replacing import write_text

SIDE_SPACE = 4  # keeps these clips apart from all others of the demo
# Pairs of movements. Each movement is on the left in one class and on the right in another one.
PAIRS = (("waving", "clapping"), ("punching", "kicking"), ("squatting", "bowing"))


@dataclass(frozen=True)
class SideClip:
    """A clip in which one figure performs `left` and another one `right`; `path` is relative to the folder."""

    video_id: str
    path: Path
    left: str
    right: str
    split: str

    @property
    def label(self) -> str:
        """The class: what is done on which side."""
        return f"{self.left} left of {self.right}"


def list_side_clips(
    *, num_train: int = 24, num_test: int = 10, pairs: Sequence[tuple[str, str]] = PAIRS
) -> list[SideClip]:
    """Return the clips of every class: each pair of movements, one way round and the other."""
    clips = []
    for left, right in [way for pair in pairs for way in (pair, pair[::-1])]:
        stem = f"{left}_{right}".replace(" ", "_")
        for split, count in (("train", num_train), ("test", num_test)):
            ids = [f"{stem}_{split}_{number:02d}" for number in range(count)]
            clips += [SideClip(name, Path(stem, f"{name}.mp4"), left, right, split) for name in ids]
    return clips


def draw_sides(clip: SideClip, *, seed: int = 0) -> Iterator[Bytes]:
    """Yield the pictures of a clip, (SIZE, SIZE, 3), 2 to 3 seconds of them, from its video_id and the seed alone.

    Each half is the middle of one scene of the demo.
    """
    rng = np.random.default_rng([SIDE_SPACE, seed, *clip.video_id.encode()])
    num_frames = int(rng.integers(2 * FPS, 3 * FPS + 1))
    scenes = [_draw(name, num_frames, rng) for name in (clip.left, clip.right)]
    half = slice(SIZE // 4, SIZE - SIZE // 4)
    for number in range(num_frames):
        yield np.concatenate([scene.render(number)[:, half] for scene in scenes], axis=1)


def render_sides(
    folder: Path,
    *,
    num_train: int = 24,
    num_test: int = 10,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    seed: int = 0,
    processes: int = 2,
) -> Iterator[SideClip]:
    """Write every clip and, at the end, manifest.csv; yield each clip as it is written."""
    clips = list_side_clips(num_train=num_train, num_test=num_test, pairs=pairs)
    for parent in sorted({folder / clip.path.parent for clip in clips}):
        parent.mkdir(parents=True, exist_ok=True)
    yield from render_each(_write, [(clip, folder, seed) for clip in clips], processes=processes)
    rows = [f"{clip.video_id},{clip.path.as_posix()},{clip.label},{clip.split}" for clip in clips]
    write_text(folder / "manifest.csv", "\n".join(["video_id,path,label,split", *rows, ""]))


def _draw(name: str, num_frames: int, rng: np.random.Generator) -> Scene:
    action = BY_NAME[name]
    return set_stage(draw_motion(action, take="whole", num_frames=num_frames, rng=rng), action=action, rng=rng)


def _write(clip: SideClip, folder: Path, seed: int) -> SideClip:
    pictures = draw_sides(clip, seed=seed)
    write_frames(((Fraction(number, FPS), picture) for number, picture in enumerate(pictures)), folder / clip.path)
    return clip
