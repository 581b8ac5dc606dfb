"""A decoder of made-up videos, for processes that load no torch."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from framebank.extract.decoders.frames import Clip
from framebank.extract.decoders.source import local_file
from framebank.store.errors import DataError


def fake_frames(name: str, num_frames: int = 4) -> np.ndarray:
    """Frames (num_frames, 2, 2, 3) decided by the name alone."""
    return np.random.default_rng(list(name.encode())).integers(0, 256, (num_frames, 2, 2, 3), dtype=np.uint8)


def fake_decode(path: Path, sample: Any, sink: Any) -> Clip:
    """Decode made-up videos of 4 frames at 25 frames/s: of 2 where the name says "short", of 40 where it says "long".

    "bad" paths fail as a DataError, "odd" ones as a decoder does, "closed" ones may not be read, "torn" and "lost" ones
    lie on a broken disk; "recount" ones come with a wrong count first; in "hang" ones the decoder sleeps for ever, in
    "crash" ones it aborts the process, "half" ones fail after 9 frames.
    """
    name = path.stem
    if "bad" in name:
        raise DataError(f"{path}: cannot be decoded")
    if "odd" in name:
        raise ZeroDivisionError("no frame rate")
    if "closed" in name:
        raise PermissionError(13, "Permission denied", str(path))
    if "torn" in name:
        raise OSError(5, "Input/output error")
    if "lost" in name:
        raise OSError("the link broke")
    if "hang" in name:
        time.sleep(1000)
    if "crash" in name:
        os.abort()
    total = 2 if "short" in name else 40 if "long" in name else 4
    frames = fake_frames(name, total)
    if "recount" in name:
        sink.add(0, frames[0])
        sink.clear()
    indices = sample(np.arange(total) / 25)
    for count, index in enumerate(np.unique(indices)):
        if "half" in name and count == 9:
            raise DataError(f"{path}: breaks after 9 frames")
        sink.tick()
        sink.add(int(index), frames[index])
    return Clip(indices=indices, timestamps=indices / 25, decoder="fake")


def copied_decode(path: Path, sample: Any, sink: Any) -> Clip:
    """Write where the copy of a tar's member lies to MEMBER.where beside the tar, then decode as `fake_decode`."""
    with local_file(path) as copy:
        path.parent.with_name(f"{path.stem}.where").write_text(str(copy))
        return fake_decode(path, sample, sink)


def slow_decode(path: Path, sample: Any, sink: Any) -> Clip:
    """Decode as `fake_decode`, in two milliseconds."""
    time.sleep(0.002)
    return fake_decode(path, sample, sink)


def content_decode(path: Path, sample: Any, sink: Any) -> Clip:
    """Decode as `fake_decode` what a file says its name is, so that another content gives other frames."""
    return fake_decode(path.with_name(f"{path.read_text()}.mp4"), sample, sink)


def growing_decode(path: Path, sample: Any, sink: Any) -> Clip:
    """Decode as `fake_decode` a file that somebody still writes to."""
    with path.open("a") as file:
        file.write("more")
    return fake_decode(path, sample, sink)
