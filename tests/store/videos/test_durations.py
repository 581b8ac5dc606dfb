"""Durations: the rows of a store tell how long its videos are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.extract.sampling import read_sampling
from framebank.store import Embeddings, FeatureStore, ShardWriter, Video
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.durations import durations_of
from framebank.tests.worlds.store import DIM, SPEC

SHOWN = [(25.0, 1000), (30.0, 37), (24.0, 5), (30000 / 1001, 2999), (4.0, 9), (60.0, 36000)]  # a second, and in all


def durations(
    folder: Path, sampling: str, rows: list[Embeddings], parts: list[tuple[float | None, float | None]]
) -> list[float | None]:
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, replace(SPEC, sampling=sampling), max_videos=2) as writer:
        for number, one in enumerate(rows):
            writer.add(str(number), one)
    videos = [Video(str(number), Path("a.mp4"), start=start, end=end) for number, (start, end) in enumerate(parts)]
    found = durations_of(FeatureStore(folder), VideoColumns.of(videos[::-1]))
    return found[::-1]


def sampled(sampling: str, times: np.ndarray, start: float | None = None, end: float | None = None) -> Embeddings:
    places = read_sampling(sampling).rows(times, start=start, end=end)
    clips = np.repeat(np.arange(read_sampling(sampling).num_clips), len(places) // read_sampling(sampling).num_clips)
    return Embeddings(np.ones((len(places), DIM), np.float16), times[places], places, clips=clips)


@pytest.mark.parametrize(
    ("sampling", "frames", "seconds"),
    [
        ("segments:16", 0.6, 0),
        ("segments:1", 1.1, 0),
        ("clips:3x4", 0.6, 0),
        ("every", 0.01, 0),
        ("fps:2", 0.51, 0.25),
        ("fps:0.5", 0.51, 1),
        ("stride:8", 4.01, 0),
    ],
)
def test_a_video_is_as_long_as_its_frames(tmp_path: Path, sampling: str, frames: float, seconds: float) -> None:
    rows = [sampled(sampling, np.arange(count) / rate) for rate, count in SHOWN]
    found = durations(tmp_path / "whole", sampling, rows, [(None, None)] * len(SHOWN))
    for (rate, count), one in zip(SHOWN, found, strict=True):
        if count > 8 or not sampling.startswith("stride"):
            assert one == pytest.approx(count / rate, abs=frames / rate + seconds + 1e-3)
    long = np.arange(1000) / 25
    parts = [(12.5, None), (None, 20.0), (5.0, 7.5)]
    rows = [sampled(sampling, long, *part) for part in parts]
    rest, first, told = durations(tmp_path / "parts", sampling, rows, parts)
    assert (first, told) == (20.0, 2.5)  # as the list says
    assert rest == pytest.approx(27.5, abs=(frames + 1) / 25 + seconds)


def test_rows_of_clips_end_with_their_last_frames(tmp_path: Path) -> None:
    times = np.arange(500) / 25
    places = read_sampling("segments:16").rows(times).reshape(4, 4)
    windows = times[places[:, [0, -1]]]
    rows = Embeddings(np.ones((4, DIM), np.float16), windows.mean(axis=1), places[:, 2], windows=windows)
    assert durations(tmp_path, "segments:16", [rows], [(None, None)])[0] == pytest.approx(20, abs=0.04)


def test_a_picture_has_no_duration_and_imported_rows_last_as_long_as_their_distance(tmp_path: Path) -> None:
    picture = Embeddings(np.ones((4, DIM), np.float16), np.zeros(4), np.zeros(4, dtype=np.int64))
    assert durations(tmp_path / "picture", "segments:4", [picture], [(None, None)]) == [None]
    rows = Embeddings(np.ones((6, DIM), np.float16), np.arange(6) / 2, np.arange(6))
    assert durations(tmp_path / "import", "imported", [rows, picture], [(None, None)] * 2) == [3.0, None]
    for odd in ("segments:0", "fps:0", "fps:x", "stride:0", "segments"):
        assert len(durations(tmp_path / odd, odd, [rows], [(None, None)])) == 1
