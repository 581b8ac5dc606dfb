"""What a worker of a cluster does, without a cluster."""

from dataclasses import replace

import pytest

from framebank.extract.cluster import remote_worker as remote
from framebank.extract.cluster.remote_worker import RemoteWorker, Work
from framebank.extract.cluster.slices import cut, slice_length
from framebank.extract.pipeline import Outcome
from framebank.store import DataError, FeatureStore, Video
from framebank.store.ledger import Failure
from framebank.store.upkeep.adoption import Adopted
from framebank.tests.worlds.fake_decoder import slow_decode
from framebank.tests.worlds.store import SPEC, FakeEncoder, fake_task, videos


def make_encoder(*, device):
    return FakeEncoder()


@pytest.fixture
def worker(one_thread):
    work = Work(make_encoder, fake_task().sampling, slow_decode, lambda: SPEC.decoder, batch_size=4)
    return RemoteWorker(work, device="cpu", num_workers=1, num_threads=1)


@pytest.fixture
def sign(tmp_path):
    (tmp_path / "s" / "parts").mkdir(parents=True)
    path = tmp_path / "s" / "parts" / "run-1"
    path.touch()
    return path


def slice_of(names, sign):
    return next(cut(videos(*names), len(names))).start(sign)


def test_it_fills_a_part_store(worker, sign):
    piece = slice_of(["a", "b", "bad"], sign)
    told = [outcome for some in worker.fill(piece, spec=worker.prepare()) for outcome in some]
    assert {outcome.video.video_id: bool(outcome.error) for outcome in told} == {"a": False, "b": False, "bad": True}
    assert sorted(FeatureStore(piece.part)) == ["a", "b"]
    assert piece.part.name == "slice-1-00000-1"


def test_it_stops_when_its_run_is_over(worker, sign, monkeypatch):
    monkeypatch.setattr(remote, "TELL_SECONDS", 0.0)
    piece = slice_of("abcdef", sign)
    stream = worker.fill(piece, spec=worker.prepare())
    told = next(stream)
    sign.unlink()
    told += [outcome for some in stream for outcome in some]
    assert 0 < len(told) < 6
    assert sorted(FeatureStore(piece.part)) == sorted(outcome.video.video_id for outcome in told)


def test_a_worker_that_does_not_see_the_store_or_the_videos_says_so(worker, sign, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "SIGHT_SECONDS", 0.0)
    piece = slice_of("ab", sign)
    with pytest.raises(DataError, match=r"does not see the video .*seen\.mp4; expected videos on a file system that"):
        next(worker.fill(replace(piece, witness=tmp_path / "seen.mp4"), spec=worker.prepare()))
    sign.unlink()
    with pytest.raises(DataError, match=r"^the worker on .+ does not see the store .*/s; expected a folder on a file"):
        next(worker.fill(piece, spec=worker.prepare()))
    assert not piece.part.exists()


def test_a_worker_that_would_fill_it_otherwise_is_refused(worker, sign):
    with pytest.raises(DataError, match=r"with decoder 'fake 2\.0', the worker on .+ with decoder 'fake 1\.0'"):
        next(worker.fill(slice_of("a", sign), spec=replace(worker.prepare(), decoder="fake 2.0")))


def test_slices_are_cut_so_that_every_worker_has_several():
    pieces = list(cut(videos("a", "b", "c"), 2))
    assert [(piece.number, [video.video_id for video in piece.videos]) for piece in pieces] == [
        (0, ["a", "b"]),
        (1, ["c"]),
    ]
    assert [slice_length(count, 8) for count in (1, 1_000, 10_000, 10_000_000)] == [16, 32, 313, 4096]


def test_a_slice_shows_its_workers_a_file_that_is_there(sign, tmp_path):
    there = Video("b", tmp_path / "b.mp4")
    there.path.touch()
    assert next(cut((*videos("a"), there), 2)).start(sign).witness == there.path
    assert next(cut(videos("a"), 1)).start(sign).witness is None


def test_a_video_is_told_of_once_unless_it_went_otherwise(sign):
    piece = next(cut(videos("a", "b", "c", "d"), 4))
    a, b, c, _ = piece.videos
    assert list(piece.news([Outcome(a, num_frames=4), Outcome(b, num_frames=4)])) == [Outcome(a, 4), Outcome(b, 4)]
    found = Adopted({"a": 4, "c": 2}, {"b": Failure("b", "b.mp4", "why")})
    assert list(piece.settle(found)) == [Outcome(b, error="why"), Outcome(c, num_frames=2)]
    assert [video.video_id for video in piece.videos] == ["d"]


def test_a_slice_is_given_to_three_workers(sign):
    piece = next(cut(videos("a", "b"), 2))
    parts = {piece.start(sign).part.name for _ in range(2)}
    piece.require_attempts_left("it died")
    parts.add(piece.start(sign).part.name)
    assert parts == {f"slice-1-00000-{attempt}" for attempt in (1, 2, 3)}
    with pytest.raises(DataError, match=r"^slice 0 \(2 videos, 'a' to 'b'\) was given to 3 workers, .* it died; what"):
        piece.require_attempts_left("it died")
