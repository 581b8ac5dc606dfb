import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from framebank.extract.pipeline import embed_clip, extract_videos
from framebank.store import DataError, FeatureStore, ShardWriter
from framebank.tests.store_world import SPEC, FakeEncoder, fake_clip, videos

NAMES = ("a", "b", "short", "c", "d", "e", "f")


def expected(name):
    clip, encoder = fake_clip(Path(f"/videos/{name}.mp4")), FakeEncoder()
    return encoder.encode_frames(torch.from_numpy(clip.data))["frame"].astype(np.float16)


def run(folder, names=NAMES, *, encoder=None, read_clip=fake_clip, **options):
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, SPEC, max_videos=2) as writer:
        return list(
            extract_videos(
                videos(*names), read_clip=read_clip, encoder=encoder or FakeEncoder(), writer=writer, **options
            )
        )


@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 28, 100])
def test_any_batches_and_workers_give_the_same(tmp_path, batch_size, num_workers):
    encoder = FakeEncoder()
    outcomes = run(tmp_path, encoder=encoder, batch_size=batch_size, num_workers=num_workers)
    assert [outcome.video.video_id for outcome in outcomes] == list(NAMES)
    assert all(outcome.num_frames == 4 and not outcome.error for outcome in outcomes)
    assert encoder.batches == [batch_size] * -(-4 * len(NAMES) // batch_size)  # every batch is full
    store = FeatureStore(tmp_path)
    assert store.ids == NAMES
    for name in NAMES:
        np.testing.assert_array_equal(store[name].data, expected(name))
        assert store.decoders[name] == "fake"


def test_videos_of_different_lengths(tmp_path):
    def read_clip(path):
        return fake_clip(path, num_frames=1 + 3 * (path.stem in "bd"))

    run(tmp_path, "abcd", read_clip=read_clip, batch_size=3)
    store = FeatureStore(tmp_path)
    assert [len(store[name].data) for name in "abcd"] == [1, 4, 1, 4]
    np.testing.assert_array_equal(store["b"].data, expected("b"))


def test_repeated_frames_of_a_short_video_are_kept(tmp_path):
    run(tmp_path, ["short"])
    found = FeatureStore(tmp_path)["short"]
    assert found.indices.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.data[0], found.data[1])


def test_failures_are_outcomes(tmp_path):
    outcomes = {outcome.video.video_id: outcome for outcome in run(tmp_path, ["a", "bad", "odd", "b"])}
    assert outcomes["bad"].error == "/videos/bad.mp4: cannot be decoded"
    assert outcomes["odd"].error == "/videos/odd.mp4: ZeroDivisionError: no frame rate"
    assert (outcomes["bad"].num_frames, outcomes["a"].num_frames) == (0, 4)
    assert FeatureStore(tmp_path).ids == ("a", "b")


def test_nothing_and_nothing_readable(tmp_path):
    assert run(tmp_path, []) == []
    assert len(run(tmp_path, ["bad1", "bad2"])) == 2
    assert not list(tmp_path.glob("*.h5"))


def test_no_writer_is_needed():
    outcomes = list(extract_videos(videos("a", "bad"), read_clip=fake_clip, encoder=FakeEncoder()))
    assert sorted(outcome.num_frames for outcome in outcomes) == [0, 4]


def test_decodes_only_a_little_ahead():
    read = []

    def read_clip(path):
        read.append(path)
        return fake_clip(path)

    many = videos(*(f"v{i}" for i in range(50)))
    outcomes = extract_videos(many, read_clip=read_clip, encoder=FakeEncoder(), batch_size=4, num_workers=2)
    next(outcomes)
    outcomes.close()
    assert len(read) <= 6


class BrokenEncoder(FakeEncoder):
    """Breaks at its third batch."""

    def encode_frames(self, pixels):
        encoded = super().encode_frames(pixels)
        if len(self.batches) == 3:
            return self.break_down(encoded)
        return encoded


class Crashing(BrokenEncoder):
    def break_down(self, encoded):
        raise RuntimeError("out of memory")


class Interrupted(BrokenEncoder):
    def break_down(self, encoded):
        raise KeyboardInterrupt


class NotANumber(BrokenEncoder):
    def break_down(self, encoded):
        encoded["frame"][1, 2] = np.nan
        return encoded


class TooLarge(BrokenEncoder):
    def break_down(self, encoded):
        return {"frame": encoded["frame"] + 1e6}  # finite in 32 bits, not in 16


@pytest.mark.parametrize("encoder", [Crashing, Interrupted, NotANumber, TooLarge])
def test_an_encoder_that_breaks_leaves_what_was_embedded(tmp_path, encoder):
    kind = {Crashing: RuntimeError, Interrupted: KeyboardInterrupt}.get(encoder, DataError)
    with warnings.catch_warnings(), pytest.raises(kind) as error:
        warnings.simplefilter("error")
        run(tmp_path, encoder=encoder(), batch_size=4)
    if kind is DataError:
        assert str(error.value) == (
            "the encoder gave values that are not finite in 16 bits, near /videos/short.mp4; "
            "try --precision fp32, and check the weights"
        )
    store = FeatureStore(tmp_path)
    assert store.ids == ("a", "b")
    np.testing.assert_array_equal(store["b"].data, expected("b"))


def test_embed_clip():
    found = embed_clip(Path("/videos/a.mp4"), read_clip=fake_clip, encoder=FakeEncoder())
    np.testing.assert_array_equal(found.data.astype(np.float16), expected("a"))
    with pytest.raises(DataError, match="cannot be decoded"):
        embed_clip(Path("/videos/bad.mp4"), read_clip=fake_clip, encoder=FakeEncoder())
    broken = TooLarge()
    broken.batches += [1, 1]
    with pytest.raises(DataError, match=r"not finite in 16 bits, near /videos/a\.mp4"):
        embed_clip(Path("/videos/a.mp4"), read_clip=fake_clip, encoder=broken)
