"""The benchmark of tokens: a run is taken again for its own settings only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.benchmarks.tokens import _compared, _runs
from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.tests.worlds.heads import DIM, SPEC

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore:.*learned nothing")]
QUICK = {"epochs": "1", "head.blocks": "0"}


@pytest.fixture
def bank(tmp_path: Path) -> FeatureStore:
    folder = tmp_path / "store"
    folder.mkdir()
    rng = np.random.default_rng(0)
    splits = ["train"] * 4 + ["test"] * 2
    videos = [Video(f"{label}-{i}", Path(f"{i}.mp4"), label, split) for label in "ab" for i, split in enumerate(splits)]
    Manifest(tuple(videos)).write(folder / "manifest.csv")
    with ShardWriter(folder, replace(SPEC, sampling="segments:2", streams="frame,tokens:2")) as writer:
        for video in videos:
            tokens, times = rng.normal(size=(2, 4, DIM)), np.arange(2)
            writer.add(video.video_id, Embeddings(tokens.mean(1), times / 10, times, streams={"tokens": tokens}))
    return FeatureStore(folder)


def test_a_run_of_other_settings_is_not_taken_for_this_one(bank: FeatureStore) -> None:
    first = _runs(bank, "tokens", 1, shots=0, settings=QUICK)
    written = (first[0] / "checkpoint.safetensors").stat().st_mtime_ns
    other = _runs(bank, "tokens", 1, shots=0, settings={**QUICK, "lr": "1e-3"})
    fewer = _runs(bank, "tokens", 1, shots=2, settings=QUICK)
    assert len({first[0], other[0], fewer[0]}) == 3
    assert "lr = 0.001\n" in (other[0] / "recipe.toml").read_text()
    assert "shots = 2\n" in (fewer[0] / "recipe.toml").read_text()
    assert _runs(bank, "tokens", 1, shots=0, settings=dict(reversed(QUICK.items()))) == first
    assert (first[0] / "checkpoint.safetensors").stat().st_mtime_ns == written  # and it is not trained again


def test_the_asked_seeds_alone_are_compared(bank: FeatureStore) -> None:
    two = _runs(bank, "tokens", 2, shots=0, settings=QUICK)
    one = _runs(bank, "tokens", 1, shots=2, settings=QUICK)
    told = _compared([two[:1], one])
    assert [len(each["top1"]) for name, each in told.items() if name != "paired"] == [1, 1]
    assert told["paired"]["seeds"] == 1
