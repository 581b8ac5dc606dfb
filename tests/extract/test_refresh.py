"""Changed videos embedded again: old rows until the new ones are there, whatever happens in between."""

import functools

import pytest

from framebank.extract.fill import LocalEngine, filling
from framebank.extract.worker import Task
from framebank.store import FeatureStore, Manifest
from framebank.store.upkeep.plan import Choices
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.bank import fill_from, put
from framebank.tests.worlds.fake_decoder import content_decode, growing_decode
from framebank.tests.worlds.store import SPEC, FakeEncoder, fake_task


@pytest.fixture
def videos(tmp_path):
    for name in "abcd":
        put(tmp_path / "videos" / f"{name}.mp4", f"content {name}")
    return tmp_path / "videos"


def rows(folder):
    store = FeatureStore(folder)
    return {name: store[name].data.tobytes() for name in sorted(store)}


def test_refreshed_rows_are_those_of_a_new_store(videos, tmp_path):
    fill_from(tmp_path / "bank", videos)
    put(videos / "b.mp4", "other b", seconds=1_500_000_000)
    put(videos / "c.mp4", "bad", seconds=1_500_000_000)
    put(videos / "e.mp4", "content e")
    before = rows(tmp_path / "bank")
    plan, told = fill_from(tmp_path / "bank", videos)
    assert (plan.drift.changed, list(told)) == (("b", "c"), ["e"])
    assert {name: before[name] for name in "bc"} == {name: rows(tmp_path / "bank")[name] for name in "bc"}
    _, told = fill_from(tmp_path / "bank", videos, refresh=True)
    assert told["b"] == "" and "cannot be decoded" in told["c"]
    fill_from(tmp_path / "once", videos)
    after, once = rows(tmp_path / "bank"), rows(tmp_path / "once")
    assert after == {**once, "c": before["c"]}  # it has its old rows, and a line in failed.csv
    assert [failure.video_id for failure in FeatureStore(tmp_path / "bank").failures] == ["c"]
    assert verify_store(tmp_path / "bank").faults == () and not (tmp_path / "bank" / "parts").exists()
    plan, told = fill_from(tmp_path / "bank", videos)
    assert (plan.drift.changed, told) == (("c",), {})


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_refresh_that_is_killed_leaves_old_rows_or_new_ones(videos, tmp_path, stop, monkeypatch):
    bank = tmp_path / "bank"
    fill_from(bank, videos)
    before = rows(bank)
    for name in "abc":
        put(videos / f"{name}.mp4", f"other {name}", seconds=1_500_000_000)
    fill_from(tmp_path / "once", videos)
    task = Task(fake_task().sampling, fake_task().preprocessing, functools.partial(content_decode))
    engine = LocalEngine(task, [FakeEncoder()], num_workers=1, batch_size=4, min_seconds=0.0)
    monkeypatch.setattr("framebank.extract.fill.Adopter.adopt", lambda adopter, part: None)  # killed before it
    choices = Choices(refresh=True, roots=(videos,))
    with filling(bank, Manifest.read([videos]), spec=SPEC, embed=engine.embed, choices=choices) as found:
        for _ in range(stop):
            next(found.outcomes)
    monkeypatch.undo()
    assert rows(bank) == before
    plan, told = fill_from(bank, videos)  # takes in what was left
    done = [name for name in "abc" if rows(bank)[name] == rows(tmp_path / "once")[name]]
    assert len(done) >= stop and told == {}
    assert sorted(plan.drift.changed) == [name for name in "abc" if name not in done]
    fill_from(bank, videos, refresh=True)
    assert rows(bank) == rows(tmp_path / "once")
    assert verify_store(bank).faults == ()


def test_a_file_that_is_written_to_while_it_is_read_fails(videos, tmp_path):
    task = Task(fake_task().sampling, fake_task().preprocessing, growing_decode)
    engine = LocalEngine(task, [FakeEncoder()], num_workers=1)
    with filling(tmp_path / "bank", Manifest.read([videos]), spec=SPEC, embed=engine.embed) as found:
        told = [outcome.error for outcome in found.outcomes]
    assert len(told) == 4 and all("changed while it was read" in error for error in told)
