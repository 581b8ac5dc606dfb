"""A week in the life of a folder: clips come, change, move and go, and the store, the index and the run follow."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from framebank.store import FeatureStore
from framebank.store.indexes.index import Index

pytestmark = pytest.mark.slow

Framebank = Callable[..., Result]


class Week:
    """The folder, the bank made of it, and the commands that are given day by day."""

    def __init__(self, root: Path, clips: Path, framebank: Framebank) -> None:
        self.root, self.clips, self.framebank = root, clips, framebank
        self.folder, self.bank = root / "videos", root / "bank"
        self.index, self.run = root / "index", root / "run"
        self.fresh_count = 0
        self.taken = 0

    def clip(self) -> Path:
        """A clip of the demo world that no earlier call gave."""
        self.taken += 1
        return sorted(self.clips.rglob("*.mp4"))[self.taken]

    def add(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.clip(), path)
        return path

    def extract(self, *options: object) -> dict[str, Any]:
        result = self.framebank("extract", self.folder, self.bank, *options, "--json")
        report: dict[str, Any] = json.loads(result.stdout)
        assert report["failed"] == 0
        return report

    def told(self) -> str:
        """What `extract` says of the folder as it is, in its table."""
        return self.framebank("extract", self.folder, self.bank).stdout

    def expect(self, report: dict[str, Any], **counts: int) -> None:
        names = ("embedded", "changed", "moved", "gone")
        assert {name: report[name] for name in names} == {name: counts.get(name, 0) for name in names}

    def fresh(self) -> FeatureStore:
        """What extracting the folder as it is now into a new store gives."""
        self.fresh_count += 1
        path = self.root / f"fresh-{self.fresh_count}"
        self.framebank("extract", self.folder, path, "--model", "demo", "--frames", 4)
        return FeatureStore(path)

    def check_store(self, **other_labels: str) -> None:
        """The store is what a new one would be, but for labels that were set by hand."""
        store, fresh = FeatureStore(self.bank), self.fresh()
        assert set(store.ids) == set(fresh.ids) == {video.video_id for video in store.manifest.videos}
        for name in fresh.ids:
            np.testing.assert_array_equal(store[name].data, fresh[name].data, err_msg=name)
        expected = {video.video_id: (video.label, video.path) for video in fresh.manifest.videos}
        for name, label in other_labels.items():
            expected[name.replace("__", "/")] = (label, expected[name.replace("__", "/")][1])
        assert {video.video_id: (video.label, video.path) for video in store.manifest.videos} == expected
        assert "0 faults" in self.framebank("store", "verify", self.bank).stdout

    def check_index(self) -> None:
        """The index, brought up to date, holds the store's videos as they are, and knows the enrolled class still."""
        self.framebank("index", self.bank, self.index, "--update")
        index, store = Index.load(self.index), FeatureStore(self.bank)
        own = index.videos[: index.num_own]
        assert {video.video_id: video.label for video in own} == {
            video.video_id: video.label for video in store.manifest.videos
        }
        self.framebank("index", self.bank, self.root / f"index-{self.fresh_count}")
        new = Index.load(self.root / f"index-{self.fresh_count}")
        for video in own:
            np.testing.assert_allclose(index.vector(video.video_id), new.vector(video.video_id), atol=1e-6)
        assert index.enrolment.labels == ("my own",)
        assert self.framebank("search", self.index, "--id", own[0].video_id).stderr == ""

    def check_run(self) -> None:
        result = self.framebank("evaluate", self.run, "--store", self.bank, "--split", "all", "--json")
        assert json.loads(result.stdout)["videos_evaluated"] == len(FeatureStore(self.bank))


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory, clips: Path, framebank: Framebank) -> Week:
    """Monday: nine clips of three classes, a bank, an index with a class of one's own, and a run."""
    week = Week(tmp_path_factory.mktemp("week"), clips, framebank)
    for label in ("bowing", "clapping", "waving"):
        for number in range(3):
            week.add(f"{label}/{number}.mp4")
    result = framebank("extract", week.folder, week.bank, "--model", "demo", "--frames", 4, "--json")
    assert json.loads(result.stdout)["embedded"] == 9
    framebank("index", week.bank, week.index)
    own = week.root / "own.mp4"
    shutil.copy(week.clip(), own)
    framebank("enroll", week.index, "my own", own)
    framebank("train", week.bank, week.run, "--head", "mean", "--epochs", 2, "--split", "all")
    return week


def test_nothing_happened(week: Week) -> None:
    week.expect(week.extract())
    os.utime(week.folder / "bowing" / "0.mp4")  # touched, and the same
    week.expect(week.extract())
    week.check_store()


def test_a_clip_comes(week: Week) -> None:
    week.add("bowing/3.mp4")
    said = week.framebank("search", week.index, "--id", "bowing/0").stderr
    assert said == ""  # the bank does not know of it yet
    week.expect(week.extract(), embedded=1)
    said = week.framebank("search", week.index, "--id", "bowing/0").stderr
    assert "--update" in said
    week.check_store()
    week.check_index()
    week.check_run()


def test_a_clip_is_replaced_under_its_name(week: Week) -> None:
    old = FeatureStore(week.bank)["clapping/1"].data
    week.add("clapping/1.mp4")
    week.expect(week.extract(), changed=1)
    assert "changed: 1, --refresh embeds them again" in week.told()
    np.testing.assert_array_equal(FeatureStore(week.bank)["clapping/1"].data, old)
    week.expect(week.extract(), changed=1)  # said until it is done
    report = week.extract("--refresh")
    assert report["embedded"] == 1
    week.expect(week.extract())
    assert not np.array_equal(FeatureStore(week.bank)["clapping/1"].data, old)
    week.check_store()
    week.check_index()


def test_a_clip_is_renamed(week: Week) -> None:
    rows = FeatureStore(week.bank)["waving/2"].data
    (week.folder / "waving" / "2.mp4").rename(week.folder / "waving" / "second.mp4")
    week.expect(week.extract(), moved=1)
    np.testing.assert_array_equal(FeatureStore(week.bank)["waving/second"].data, rows)
    week.expect(week.extract())
    week.check_store()
    week.check_index()


def test_a_clip_moves_to_another_class(week: Week) -> None:
    (week.folder / "waving" / "second.mp4").rename(week.folder / "clapping" / "second.mp4")
    week.expect(week.extract(), moved=1)
    week.check_store()
    week.check_index()
    week.check_run()


def test_two_clips_change_places(week: Week) -> None:
    one, other = week.folder / "bowing" / "1.mp4", week.folder / "bowing" / "2.mp4"
    one.rename(week.folder / "bowing" / "between")
    other.rename(one)
    (week.folder / "bowing" / "between").rename(other)
    week.expect(week.extract(), moved=2)
    week.expect(week.extract())
    week.check_store()
    week.check_index()


def test_a_clip_is_deleted(week: Week) -> None:
    (week.folder / "bowing" / "0.mp4").unlink()
    week.expect(week.extract(), gone=1)
    assert "gone: 1, --prune removes them" in week.told()
    assert "bowing/0" in FeatureStore(week.bank)
    week.expect(week.extract("--prune"), gone=1)
    week.expect(week.extract())
    assert "bowing/0" not in FeatureStore(week.bank)
    found = week.framebank("search", week.index, "--id", "bowing/1", "-k", 50, "--json")
    assert "bowing/0" not in {hit["video_id"] for hit in json.loads(found.stdout)["hits"]}
    assert "--update" in found.stderr
    week.check_store()
    week.check_index()
    week.check_run()


def test_a_clip_gets_another_label_by_hand(week: Week) -> None:
    week.framebank("store", "relabel", week.bank, "--set", "bowing/3=clapping")
    week.expect(week.extract())
    assert "set by hand: 1 video with another label here; what was set by hand stays (bowing/3: bowing)" in week.told()
    week.check_store(bowing__3="clapping")
    week.check_index()
    week.framebank("store", "relabel", week.bank, "--undo")
    week.check_store()
    week.check_index()
    week.check_run()


def test_a_folder_without_labels_is_told_what_is_in_it(week: Week) -> None:
    result = week.framebank("predict", week.bank, "--run", week.run, "--csv", week.root / "out.csv", "--json")
    report = json.loads(result.stdout)
    assert {video["video_id"] for video in report["videos"]} == set(FeatureStore(week.bank).ids)
    assert all(video["labels"][0]["confidence"] <= 1 for video in report["videos"])
    assert len((week.root / "out.csv").read_text().splitlines()) == 1 + len(FeatureStore(week.bank))
