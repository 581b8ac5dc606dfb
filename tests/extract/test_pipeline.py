import functools
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from framebank.extract.encoders.encoder import Encoder
from framebank.extract.lanes import Lanes, Pending
from framebank.extract.pipeline import embed_clip, extract_videos
from framebank.extract.pool import DecodePool
from framebank.extract.worker import Job
from framebank.store import DataError, FeatureStore, ShardWriter
from framebank.tests.worlds.fake_decoder import fake_frames
from framebank.tests.worlds.process import children
from framebank.tests.worlds.store import SPEC, FakeEncoder, fake_task, videos

NAMES = ("a", "b", "short", "c", "recount", "e", "f")


def expected(name, indices=(0, 1, 2, 3), total=4):
    return FakeEncoder().encode_frames(fake_frames(name, total)[list(indices)])["frame"].astype(np.float16)


def run(folder, names=NAMES, *, encoders=None, sampling="segments:4", spec=SPEC, **options):
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, spec, max_videos=2) as writer:
        return list(
            extract_videos(
                videos(*names),
                task=fake_task(sampling),
                encoders=encoders or [FakeEncoder()],
                writer=writer,
                **options,
            )
        )


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 1), (3, 2), (7, 3), (28, 1), (100, 2)])
def test_any_batches_and_workers_give_the_same(tmp_path, batch_size, num_workers):
    encoder = FakeEncoder()
    outcomes = run(tmp_path, encoders=[encoder], batch_size=batch_size, num_workers=num_workers)
    assert sorted(outcome.video.video_id for outcome in outcomes) == sorted(NAMES)
    assert all(outcome.num_frames == 4 and not outcome.error for outcome in outcomes)
    assert set(encoder.batches) == {min(batch_size, 8)}  # every batch is full
    store = FeatureStore(tmp_path)
    assert sorted(store.ids) == sorted(NAMES)
    for name in set(NAMES) - {"short"}:
        np.testing.assert_array_equal(store[name].data, expected(name))
        assert store.decoders[name] == "fake"


def test_several_devices_share_the_work(tmp_path):
    encoders = [FakeEncoder(), FakeEncoder(), FakeEncoder()]
    run(tmp_path, ["a", "b", "long", "d"], encoders=encoders, sampling="every", batch_size=5, num_workers=2)
    assert all(encoder.batches for encoder in encoders)
    store = FeatureStore(tmp_path)
    np.testing.assert_array_equal(store["long"].data, expected("long", range(40), 40))
    np.testing.assert_array_equal(store["d"].data, expected("d"))


def test_videos_of_different_lengths(tmp_path):
    run(tmp_path, ["a", "long", "short"], sampling="every", batch_size=3)
    store = FeatureStore(tmp_path)
    assert [len(store[name].data) for name in ("a", "long", "short")] == [4, 40, 2]
    np.testing.assert_array_equal(store["long"].data, expected("long", range(40), 40))
    np.testing.assert_allclose(store["long"].timestamps, np.arange(40) / 25)


def test_repeated_frames_of_a_short_video_are_kept_and_encoded_once(tmp_path):
    encoder = FakeEncoder()
    run(tmp_path, ["short"], encoders=[encoder], batch_size=1)
    found = FeatureStore(tmp_path)["short"]
    assert found.indices.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.data, expected("short", [0, 0, 1, 1], 2))
    assert len(encoder.batches) == 2


def test_failures_are_outcomes(tmp_path):
    names = ["a", "bad", "odd", "closed", "torn", "lost", "long-half", "b"]
    outcomes = {outcome.video.video_id: outcome for outcome in run(tmp_path, names, sampling="every")}
    assert outcomes["bad"].error == "/videos/bad.mp4: cannot be decoded"
    assert outcomes["odd"].error == "/videos/odd.mp4: ZeroDivisionError: no frame rate"
    assert outcomes["closed"].error == "/videos/closed.mp4: cannot be read: Permission denied"
    assert outcomes["torn"].error == "/videos/torn.mp4: cannot be read: Input/output error"
    assert outcomes["lost"].error == "/videos/lost.mp4: cannot be read: the link broke"
    assert outcomes["long-half"].error == "/videos/long-half.mp4: breaks after 9 frames"
    assert (outcomes["bad"].num_frames, outcomes["a"].num_frames) == (0, 4)
    assert sorted(FeatureStore(tmp_path).ids) == ["a", "b"]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_decoder_that_hangs_or_crashes_costs_that_video(tmp_path, num_workers):
    names = ["a", "hang", "b", "crash", "c", "crash2", "d"]
    started = time.monotonic()
    outcomes = {o.video.video_id: o for o in run(tmp_path, names, time_limit=1.0, num_workers=num_workers)}
    assert time.monotonic() - started < 60
    assert outcomes["hang"].error == "/videos/hang.mp4: decoding took longer than 1 seconds and was given up"
    assert outcomes["crash"].error == "/videos/crash.mp4: the decoder crashed (signal SIGABRT)"
    assert outcomes["crash2"].error.endswith("the decoder crashed (signal SIGABRT)")
    assert sorted(FeatureStore(tmp_path).ids) == ["a", "b", "c", "d"]


def test_waiting_for_the_encoder_is_not_the_decoders_time(tmp_path):
    class Slow(FakeEncoder):
        def finish(self, handle):
            time.sleep(0.15)
            return super().finish(handle)

    outcomes = run(tmp_path, ["long", "long2"], encoders=[Slow()], sampling="every", batch_size=4, time_limit=0.5)
    assert [outcome.error for outcome in outcomes] == ["", ""]


def test_workers_are_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("framebank.extract.pipeline.DecodePool", functools.partial(DecodePool, videos_per_worker=2))
    outcomes = run(tmp_path, [f"v{i}" for i in range(9)], num_workers=2)
    assert len(outcomes) == 9
    assert not any(outcome.error for outcome in outcomes)


def test_nothing_and_nothing_readable(tmp_path):
    assert run(tmp_path, []) == []
    assert len(run(tmp_path, ["bad1", "bad2"])) == 2
    assert not list(tmp_path.glob("*.h5"))


def test_no_writer_is_needed():
    outcomes = list(extract_videos(videos("a", "bad"), task=fake_task(), encoders=[FakeEncoder()]))
    assert sorted(outcome.num_frames for outcome in outcomes) == [0, 4]


def test_closed_in_the_middle_it_leaves_no_process():
    many = videos(*(f"v{i}" for i in range(50)))
    outcomes = extract_videos(many, task=fake_task(), encoders=[FakeEncoder()], batch_size=4, num_workers=2)
    next(outcomes)
    assert children()
    outcomes.close()
    assert children() == []


class BrokenEncoder(FakeEncoder):
    """Breaks at its third batch."""

    def finish(self, handle):
        if len(self.batches) == 3:
            return {"frame": self.break_down(handle)}
        return {"frame": handle}


class Crashing(BrokenEncoder):
    def break_down(self, encoded):
        raise RuntimeError("out of memory")


class Interrupted(BrokenEncoder):
    def break_down(self, encoded):
        raise KeyboardInterrupt


class NotANumber(BrokenEncoder):
    def break_down(self, encoded):
        encoded[1, 2] = np.nan
        return encoded


class TooLarge(BrokenEncoder):
    def break_down(self, encoded):
        return encoded + 1e6  # finite in 32 bits, not in 16


@pytest.mark.parametrize("encoder", [Crashing, Interrupted, NotANumber, TooLarge])
def test_an_encoder_that_breaks_leaves_what_was_embedded(tmp_path, encoder):
    kind = {Crashing: RuntimeError, Interrupted: KeyboardInterrupt}.get(encoder, DataError)
    with warnings.catch_warnings(), pytest.raises(kind) as error:
        warnings.simplefilter("error")
        run(tmp_path, "abcd", encoders=[encoder()], batch_size=4, num_workers=1)
    if kind is DataError:
        assert str(error.value) == (
            "the encoder gave values that are not finite in 16 bits, near /videos/c.mp4; "
            "try --precision fp32, and check the weights"
        )
    store = FeatureStore(tmp_path)
    assert store.ids == ("a", "b")
    np.testing.assert_array_equal(store["b"].data, expected("b"))


def test_embed_clip():
    found = embed_clip(Job(Path("/videos/a.mp4")), task=fake_task(), encoder=FakeEncoder())
    np.testing.assert_array_equal(found.data.astype(np.float16), expected("a"))
    recounted = embed_clip(Job(Path("/videos/recount.mp4")), task=fake_task(), encoder=FakeEncoder())
    np.testing.assert_array_equal(recounted.data.astype(np.float16), expected("recount"))
    with pytest.raises(DataError, match="cannot be decoded"):
        embed_clip(Job(Path("/videos/bad.mp4")), task=fake_task(), encoder=FakeEncoder())
    broken = TooLarge()
    broken.batches += [1, 1]
    with pytest.raises(DataError, match=r"not finite in 16 bits, near /videos/a\.mp4"):
        embed_clip(Job(Path("/videos/a.mp4")), task=fake_task(), encoder=broken)


def test_a_part_of_a_video(tmp_path):
    found = embed_clip(Job(Path("/videos/long.mp4"), 0.4, 0.6), task=fake_task("every"), encoder=FakeEncoder())
    assert found.indices.tolist() == [10, 11, 12, 13, 14]


def test_an_embedding_has_the_same_bits_beside_any_others():
    encoder = Encoder("demo", device="cpu")
    size = encoder.preprocessing.size
    pictures = np.random.default_rng(0).integers(0, 256, (21, *size, 3), dtype=np.uint8)

    def embedded(pictures, batch_size):
        pending = Pending(videos("a")[0])
        with Lanes([encoder], batch_size) as lanes:
            lanes.fill(pending, pictures)
            list(lanes.finish())
        return pending.streams()["frame"]

    among = embedded(pictures, 64)
    for start, end, batch_size in ((0, 21, 16), (5, 8, 64), (20, 21, 64), (3, 14, 8)):
        np.testing.assert_array_equal(embedded(pictures[start:end], batch_size), among[start:end])
