"""A folder of made-up videos whose embeddings are decided by what is in the files, and the store of it."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from framebank.extract.fill import LocalEngine, filling
from framebank.extract.worker import Task
from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter
from framebank.store.upkeep.plan import Choices, Plan, carry_out, plan_extraction
from framebank.store.videos.identity import identify
from framebank.tests.worlds.fake_decoder import content_decode
from framebank.tests.worlds.store import DIM, SPEC, FakeEncoder, fake_task


def put(path: Path, content: str, *, seconds: int = 1_000_000_000) -> Path:
    """Write a file as it would have been written at that time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (seconds, seconds))
    return path


def rows_of(content: str) -> np.ndarray:
    """Return the rows (2, DIM) that stand for a file's content."""
    return np.random.default_rng(list(content.encode())).normal(size=(2, DIM)).astype(np.float16)


def write_store(folder: Path, videos: Path, *, identified: bool = True, max_videos: int = 2) -> Path:
    """Write the store of a folder of files without a decoder; not `identified`, as version 0.1.0 wrote it."""
    manifest = Manifest.read([videos])
    folder.mkdir()
    with ShardWriter(folder, SPEC, max_videos=max_videos) as writer:
        for video in manifest.videos:
            rows = Embeddings(rows_of(video.path.read_text()), timestamps=np.arange(2.0), indices=np.arange(2))
            writer.add(video.video_id, rows, source=str(identify(video.path)) if identified else "")
    manifest.write(folder / "manifest.csv")
    return folder


def replan(folder: Path, videos: Path, **choices: Any) -> Plan:
    """Plan the extraction of a folder again, and carry out what needs no embedding."""
    with ShardWriter(folder, SPEC):
        plan = plan_extraction(folder, Manifest.read([videos]), SPEC, Choices(roots=(videos,), **choices))
        carry_out(folder, plan)
    return plan


def fill_from(folder: Path, videos: Path, **choices: Any) -> tuple[Plan, dict[str, str]]:
    """Extract a folder with a decoder that reads the files; return the plan, and each video's error or ""."""
    task = Task(fake_task().sampling, fake_task().preprocessing, functools.partial(content_decode))
    engine = LocalEngine(task, [FakeEncoder()], num_workers=1)
    wanted = Choices(roots=(videos,), **choices)
    with filling(folder, Manifest.read([videos]), spec=SPEC, embed=engine.embed, choices=wanted) as found:
        return found.plan, {outcome.video.video_id: outcome.error for outcome in found.outcomes}


def contents(folder: Path, among: list[str]) -> dict[str, str]:
    """Return which of some contents each video of a store has the rows of, "?" for another."""
    store = FeatureStore(folder)
    known = {rows_of(content).tobytes(): content for content in among}
    return {name: known.get(np.asarray(store[name].data).tobytes(), "?") for name in sorted(store)}
