"""Stores from Python: videos are embedded, and what lies at a place is opened."""

from pathlib import Path

import pytest

import framebank as fb
from framebank.store import DataError, FeatureStore, PromptBank
from framebank.store.errors import DataWarning


def test_extract_gives_the_store_and_goes_on_with_it(bank: FeatureStore, videos: Path) -> None:
    assert isinstance(bank, FeatureStore)
    assert bank[bank.ids[0]].data.shape == (4, bank.spec.dim)
    again = fb.extract(videos / "manifest.csv", bank.path)  # the store says itself how it was made
    assert again.ids == bank.ids
    with pytest.raises(DataError, match="cannot be mixed"):
        fb.extract(videos / "manifest.csv", bank.path, frames=8)
    with pytest.raises(DataError, match="frames and fps exclude each other"):
        fb.extract(videos, bank.path, frames=8, fps=2)


def test_a_video_that_cannot_be_read_is_told_of(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "run").mkdir(parents=True)
    (tmp_path / "in" / "run" / "good.mp4").write_bytes(next(videos.rglob("*.mp4")).read_bytes())
    (tmp_path / "in" / "run" / "bad.mp4").write_bytes(b"not a video")
    with pytest.warns(DataWarning, match="1 of 2 videos have no embedding"):
        found = fb.extract(tmp_path / "in", tmp_path / "bank", model="demo", frames=2)
    assert found.ids == ("run/good",)
    assert [failure.video_id for failure in found.failures] == ["run/bad"]


def test_open_tells_what_lies_there(bank: FeatureStore, tmp_path: Path) -> None:
    assert isinstance(fb.open(bank.path), FeatureStore)
    texts = fb.prompts(["juggling", "waving"], bank)
    texts.write(tmp_path / "texts.h5")
    opened = fb.open(tmp_path / "texts.h5")
    assert isinstance(opened, PromptBank)
    assert opened.labels.names == ("juggling", "waving")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing"):
        with pytest.raises(DataError, match=f"{name}: was not written by framebank"):
            fb.open(tmp_path / name)


def test_objects_are_taken_where_files_are(bank: FeatureStore, run: fb.TrainedRun, tmp_path: Path) -> None:
    names = list(bank.manifest.labels)
    texts = fb.prompts(names, bank)
    assert fb.zeroshot(bank, prompts=texts).top1 == fb.zeroshot(bank, labels=names).top1
    trained = fb.train(bank, tmp_path / "r", prompts=texts, epochs=1, head="mean")
    assert fb.evaluate(trained).top1 == trained.evaluate().top1
    assert fb.zeroshot(bank, run=trained).protocol["run"] == str(trained.path)
    assert len(run.predict(bank, top=16)[0].top(16)) == 16
