"""Across: a test video with a copy in training is found by few comparisons, and others are not."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from framebank.heads.copies import across
from framebank.heads.copies.across import copies_across
from framebank.library.evaluation import evaluate
from framebank.library.searching.near_copies import warn_of_copies
from framebank.library.training import train
from framebank.store import DataWarning, FeatureStore, Manifest
from framebank.tests.worlds.copies import sampled, write_videos
from framebank.tests.worlds.heads import write_world


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Thirty training videos and ten test videos, one of which is a training video at another speed."""
    videos = {f"train{number}": sampled([(number, 0.0, 8.0)]) for number in range(30)}
    videos |= {f"test{number}": sampled([(100 + number, 0.0, 8.0)]) for number in range(9)}
    videos["leak"] = sampled([(7, 1.0, 8.0)], speed=1.05, seed=9)
    splits = {name: "train" if name.startswith("train") else "test" for name in videos}
    return write_videos(tmp_path_factory.mktemp("leaky") / "bank", videos, splits=splits)


def names(store: FeatureStore, split: str) -> list[str]:
    return list(store.split(split).ids)


def test_only_the_copy_is_named(leaky: FeatureStore) -> None:
    ((own, other, score),) = copies_across(leaky, names(leaky, "test"), names(leaky, "train"))
    assert (own, other) == ("leak", "train7") and score > 0.7
    assert copies_across(leaky, [one for one in names(leaky, "test") if one != "leak"], names(leaky, "train")) == []
    assert copies_across(leaky, [], names(leaky, "train")) == []


def test_videos_of_one_class_are_no_copies(tmp_path: Path) -> None:
    store = write_world(tmp_path).store
    assert copies_across(store, names(store, "test"), names(store, "train")) == []


def test_every_copy_is_counted_if_the_rows_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = {f"train{number}": sampled([(number, 0.0, 6.0)]) for number in range(60)}
    videos |= {f"test{number}": sampled([(number, 0.0, 6.0)], noise=0.05, seed=3) for number in range(50)}
    store = write_videos(tmp_path / "bank", videos)
    found = copies_across(store, [f"test{n}" for n in range(50)], [f"train{n}" for n in range(60)])
    assert {(own.removeprefix("test"), other.removeprefix("train")) for own, other, _ in found} == {
        (str(number), str(number)) for number in range(50)
    }
    monkeypatch.setattr(across, "MOST_ROWS", 1)
    assert len(copies_across(store, [f"test{n}" for n in range(50)], [f"train{n}" for n in range(60)])) == 40


def test_the_warning_says_how_many_were_compared(leaky: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "MOST_PRODUCTS", 200)  # of 10 times 30: every second test video
    assert across.evenly(names(leaky, "test"), names(leaky, "train")) == names(leaky, "test")[::2]
    tested, trained = leaky.split("test"), names(leaky, "train")
    with pytest.warns(DataWarning, match="of 10 test videos, 5 were compared with the training videos, and none"):
        warn_of_copies(leaky, tested=tested, trained=trained)
    with pytest.warns(DataWarning, match=r"'leak' and 'train7' .*; of 10 test videos, 5 were compared; `framebank dup"):
        warn_of_copies(leaky, tested=Manifest(tested.videos[::-1]), trained=trained)
    monkeypatch.undo()
    with pytest.warns(DataWarning, match="1 test video has a near-copy") as caught:
        warn_of_copies(leaky, tested=tested, trained=trained)
    assert "were compared" not in str(caught[0].message)


def test_rows_that_are_alike_and_not_the_same_are_no_copy(leaky: FeatureStore, tmp_path: Path) -> None:
    """A performance anew: each row is turned away from its counterpart, to a cosine of 0.9."""
    videos = {name: (leaky[name].data, leaky[name].timestamps) for name in names(leaky, "train")}
    videos["anew"] = sampled([(7, 0.0, 8.0)], noise=0.48, seed=5)
    store = write_videos(tmp_path / "bank", videos)
    assert copies_across(store, ["anew"], names(leaky, "train")) == []


def test_train_and_evaluate_warn(leaky: FeatureStore, tmp_path: Path) -> None:
    told = "1 test video has a near-copy among the training videos.*'leak' and 'train7'"
    with pytest.warns(DataWarning, match=told):
        run = train(leaky, tmp_path / "run", head="mean", classifier="linear", loss="ce", epochs=1)
    with pytest.warns(DataWarning, match=told):
        evaluate(run, split="test")


def test_the_command_without_a_recipe_warns_too(framebank: Any, leaky: FeatureStore, tmp_path: Path) -> None:
    assert "'leak' and 'train7'" in framebank("train", leaky.path, tmp_path / "run", "--budget", "1s").stderr


def test_a_copy_of_a_video_that_was_not_trained_on_is_no_news(leaky: FeatureStore, tmp_path: Path) -> None:
    told = {}
    for seed in range(4):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run = train(leaky, tmp_path / f"run{seed}", recipe="ridge", shots=7, seed=seed)
            evaluate(run, split="test")
        drawn = bool(run.run.trained_videos_among(["train7"], store=leaky.path))
        told[drawn] = sum("near-copy" in str(one.message) for one in caught)
    assert told == {True: 2, False: 0}
