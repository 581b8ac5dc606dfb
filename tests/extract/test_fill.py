import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.extract.fill import fill_store, store_spec
from framebank.store import DataError, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.upkeep.plan import plan_store
from framebank.tests.worlds.fake_decoder import fake_decode
from framebank.tests.worlds.store import SPEC, FakeEncoder, fake_task, make_store, videos


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr("framebank.extract.fill.ShardWriter", functools.partial(ShardWriter, max_videos=2))


def fill(folder, names, **options):
    """Fill as the command does, but decode in one process, so that the order is known; a generator."""
    options = {"task": fake_task(), "encoders": [FakeEncoder()], "batch_size": 4, "num_workers": 1, **options}
    return fill_store(folder, Manifest(videos(*names)), spec=SPEC, **options)


def ids(outcomes):
    return [outcome.video.video_id for outcome in outcomes]


def test_store_spec():
    spec = store_spec(SPEC, sampling="segments:16", decoder="pyav 14")
    assert (spec.sampling, spec.decoder, spec.model) == ("segments:16", "pyav 14", "fake")


def test_fill_and_fill_again(tmp_path):
    assert ids(fill(tmp_path, "abc")) == ["a", "b", "c"]
    assert ids(fill(tmp_path, "abc")) == []
    assert ids(fill(tmp_path, "cde")) == ["d", "e"]
    store = FeatureStore(tmp_path)
    assert store.ids == tuple("abcde")
    assert ids_of(store.manifest) == list("abcde")


def ids_of(manifest):
    return [video.video_id for video in manifest.videos]


def test_labels_and_splits_follow_the_newer_manifest(tmp_path):
    list(fill(tmp_path, "ab"))
    newer = Manifest((Video("a", Path("/videos/a.mp4"), "new", "train"),))
    assert plan_store(tmp_path, newer, SPEC).missing == ()
    assert list(fill_store(tmp_path, newer, spec=SPEC, task=fake_task(), encoders=[FakeEncoder()])) == []
    assert [(v.label, v.split) for v in FeatureStore(tmp_path).manifest.videos] == [("new", "train"), ("b", "")]


def test_failures_are_in_the_ledger_before_they_are_told_and_are_tried_again_when_asked(tmp_path):
    for outcome in fill(tmp_path, ["a", "bad", "odd"]):
        if outcome.error:
            assert outcome.error in (tmp_path / "failed.csv").read_text()
    failures = FeatureStore(tmp_path).failures
    assert [(f.video_id, f.path, f.reason) for f in failures] == [
        ("bad", "/videos/bad.mp4", "/videos/bad.mp4: cannot be decoded"),
        ("odd", "/videos/odd.mp4", "/videos/odd.mp4: ZeroDivisionError: no frame rate"),
    ]
    assert ids(fill(tmp_path, ["a", "bad", "b"])) == ["b"]
    plan = plan_store(tmp_path, Manifest(videos("a", "bad", "c")), SPEC)
    assert [[v.video_id for v in part] for part in (plan.missing, plan.failed_before)] == [["c"], ["bad"]]
    assert ids(fill(tmp_path, ["a", "bad"], retry_failed=True)) == ["bad"]
    assert [f.video_id for f in FeatureStore(tmp_path).failures] == ["odd", "bad"]
    mended = replace(fake_task(), decode=decode_as_good)
    assert ids(fill(tmp_path, ["bad", "odd"], task=mended, retry_failed=True)) == ["bad", "odd"]
    assert FeatureStore(tmp_path).failures == []
    assert not (tmp_path / "failed.csv").exists()


def decode_as_good(path, sample, sink):
    return fake_decode(path.with_name("good.mp4"), sample, sink)


def test_closed_in_the_middle_it_keeps_what_was_embedded(tmp_path):
    outcomes = fill(tmp_path, "abcdefg")
    told = [next(outcomes).video.video_id for _ in range(3)]
    outcomes.close()
    assert FeatureStore(tmp_path).ids == tuple(told) == ("a", "b", "c")
    assert ids(fill(tmp_path, "abcdefg")) == list("defg")
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_it_keeps_what_was_embedded(tmp_path, error):
    class Stopping(FakeEncoder):
        def start(self, pixels):
            if len(self.batches) == 3:
                raise error
            return super().start(pixels)

    with pytest.raises(error):
        list(fill(tmp_path, "abcdefg", encoders=[Stopping()]))
    assert FeatureStore(tmp_path).ids == ("a", "b", "c")
    assert ids(fill(tmp_path, "abcdefg")) == list("defg")


def test_a_store_filled_since_it_was_asked_for(tmp_path):
    first, second = fill(tmp_path, "abc"), fill(tmp_path, "abcd")  # both made on an empty folder
    assert ids(first) == ["a", "b", "c"]
    assert ids(second) == ["d"]
    assert FeatureStore(tmp_path).ids == tuple("abcd")


def test_two_at_once(tmp_path):
    first = fill(tmp_path, "abc")
    next(first)
    with pytest.raises(DataError, match="another process is writing here"):
        list(fill(tmp_path, "abc"))
    assert ids(first) == ["b", "c"]


def test_another_spec(tmp_path):
    list(fill(tmp_path, "a"))
    with pytest.raises(DataError, match="was made with sampling 'segments:4', this extraction with sampling"):
        plan_store(tmp_path, Manifest(videos("b")), replace(SPEC, sampling="segments:8"))


def test_another_file_of_the_same_id(tmp_path):
    for name in ("x.mp4", "y.mp4"):
        (tmp_path / name).touch()
    folder = make_store(tmp_path / "s", {"a": 1})
    Manifest((Video("a", tmp_path / "x.mp4"),)).write(folder / "manifest.csv")
    with pytest.raises(DataError, match=r"'a' is .*x\.mp4 in the store and .*y\.mp4 now"):
        plan_store(folder, Manifest((Video("a", tmp_path / "y.mp4"),)), SPEC)


def test_a_manifest_of_the_users_is_not_written_over(tmp_path):
    (tmp_path / "manifest.csv").write_text("video_id,path,mine\na,a.mp4,1\n")
    with pytest.raises(DataError, match=r"holds a manifest\.csv that does not belong to a store"):
        list(fill(tmp_path, "a"))
    assert "mine" in (tmp_path / "manifest.csv").read_text()


def test_the_same_embeddings_however_it_was_filled(tmp_path):
    list(fill(tmp_path / "once", "abcdefg"))
    for names in ("bd", "abc", "abcdefg"):
        list(fill(tmp_path / "thrice", names, batch_size=3, num_workers=1))
    once, thrice = FeatureStore(tmp_path / "once"), FeatureStore(tmp_path / "thrice")
    assert set(once) == set(thrice)
    for video_id in once:
        np.testing.assert_array_equal(once[video_id].data, thrice[video_id].data)
