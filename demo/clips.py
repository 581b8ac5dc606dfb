"""Rendering the demo's clips: H.264 files in a folder of class folders, and their manifest."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np

from framebank.demo.actions import ACTIONS, BY_NAME
from framebank.demo.backdrop import Bytes
from framebank.demo.motion import FPS, TAKES, draw_motion
from framebank.demo.scene import SIZE, Scene
from framebank.demo.stage import set_stage
from framebank.store.errors import DataError
from framebank.store.files.parallel import call_in_processes
from framebank.store.files.replacing import replacing, write_text

T = TypeVar("T")

TICKS = 600  # of a second; frames at 12.5, 24, 25 and 30 a second fall on whole numbers
COLUMNS = ("video_id", "path", "label", "split", "take")
# The first number of every seed keeps the clips apart from the training and test frames of the encoder.
CLIP_SPACE, TRAIN_SPACE, HELD_OUT_SPACE = 0, 1, 2


@dataclass(frozen=True)
class Clip:
    """One video of the demo; `path` is relative to the manifest's folder."""

    video_id: str
    path: Path
    label: str
    split: str
    take: str


def list_clips(*, num_train: int = 24, num_test: int = 10) -> list[Clip]:
    """Return the clips of every class: loop, whole and middle takes in turn, a third each."""
    clips = []
    for action in ACTIONS:
        stem = action.name.replace(" ", "_")
        for split, count in (("train", num_train), ("test", num_test)):
            for number in range(count):
                video_id = f"{stem}_{split}_{number:02d}"
                clips.append(
                    Clip(video_id, Path(stem, f"{video_id}.mp4"), action.name, split, TAKES[number % len(TAKES)])
                )
    return clips


def draw_clip(clip: Clip, *, seed: int = 0) -> Scene:
    """Draw the scene of a clip, 2 to 3 seconds of it, from its video_id and the seed alone."""
    rng = np.random.default_rng([CLIP_SPACE, seed, *clip.video_id.encode()])
    num_frames = int(rng.integers(2 * FPS, 3 * FPS + 1))
    action = BY_NAME[clip.label]
    motion = draw_motion(action, take=clip.take, num_frames=num_frames, rng=rng)
    return set_stage(motion, action=action, rng=rng)


def render_clips(
    folder: Path, *, num_train: int = 24, num_test: int = 10, seed: int = 0, processes: int = 2
) -> Iterator[Clip]:
    """Write every clip and, at the end, manifest.csv; yield each clip as it is written, in no fixed order."""
    if num_train < 0 or num_test < 0 or num_train + num_test == 0:
        raise DataError(f"num_train is {num_train} and num_test {num_test}: at least one clip of each class is needed")
    clips = list_clips(num_train=num_train, num_test=num_test)
    for parent in sorted({folder / clip.path.parent for clip in clips}):
        parent.mkdir(parents=True, exist_ok=True)
    jobs = [(clip, folder, seed) for clip in clips]
    yield from render_each(_write_clip, jobs, processes=processes)
    _write_manifest(folder / "manifest.csv", clips)


def render_each(write: Callable[..., T], jobs: Sequence[tuple[Any, ...]], *, processes: int) -> Iterator[T]:
    """Yield what `write` returns for each job, in their order. With one process, this process does the work."""
    if processes <= 1:
        yield from (write(*job) for job in jobs)
    else:
        yield from call_in_processes(write, jobs, processes=processes, name="rendering process")


def _write_clip(clip: Clip, folder: Path, seed: int) -> Clip:
    write_video(draw_clip(clip, seed=seed), folder / clip.path)
    return clip


def write_video(scene: Scene, path: Path) -> None:
    """Write the scene as H.264 at 25 fps. `path` appears only when the file is complete."""
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        # One thread, because the bytes must not depend on the number of cores, and clips are already written in
        # parallel.
        stream.codec_context.thread_count = 1
        for number in range(len(scene)):
            frame = av.VideoFrame.from_ndarray(scene.render(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_frames(frames: Iterable[tuple[Fraction, Bytes]], path: Path) -> None:
    """Write pictures (SIZE, SIZE, 3) as H.264, each shown from its second on. The seconds rise, in any steps."""
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, TICKS)
        for seconds, picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _write_manifest(path: Path, clips: list[Clip]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([clip.video_id, clip.path.as_posix(), clip.label, clip.split, clip.take] for clip in clips)
    write_text(path, text.getvalue())
