"""Lanes: batches side by side come back in order, with the same values, and leave torch's threads as they were."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from framebank.extract import lanes
from framebank.extract.encoders.encoder import Encoder
from framebank.extract.lanes import Lanes, Pending
from framebank.tests.worlds.store import FakeEncoder, videos


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@dataclass
class HeldEncoder(FakeEncoder):
    """It begins a batch when it may, and notes the number of threads that torch has then."""

    may_begin: threading.Event = field(default_factory=threading.Event)
    threads: list[int] = field(default_factory=list)

    def start(self, pixels):
        assert self.may_begin.wait(10)
        self.threads.append(torch.get_num_threads())
        return super().start(pixels)


def some_pictures(count, *, seed=0, size=(2, 2)):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


@pytest.mark.parametrize(("most", "each"), [(8, 1), (4, 1), (3, 2), (2, 2), (1, 4)])
def test_lanes_share_the_threads_of_torch(monkeypatch, most, each):
    monkeypatch.setattr(lanes, "MOST_LANES", most)
    encoder = HeldEncoder()
    encoder.may_begin.set()
    with Lanes([encoder], 8) as some:
        assert torch.get_num_threads() == 4
        some.fill(Pending(videos("a")[0]), some_pictures(64))
        list(some.finish())
    assert encoder.threads == [each] * 8
    assert torch.get_num_threads() == 4
    found = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))  # a user's, started later
    other.start()
    other.join()
    assert found == [4]


@pytest.mark.parametrize("count", [1, 8, 9, 63, 64, 65, 100])
def test_videos_come_back_in_the_order_of_their_filling(count):
    pictures = some_pictures(count)
    each = [Pending(video) for video in videos(*map(str, range(count)))]
    landed = []
    with Lanes([FakeEncoder()], 8) as some:
        for one, picture in zip(each, pictures, strict=True):
            landed += some.fill(one, picture[None])
        for few in some.finish():
            landed += few
    assert landed == each
    found = np.concatenate([one.streams()["frame"] for one in landed])
    np.testing.assert_array_equal(found, FakeEncoder().encode_frames(pictures)["frame"])


def test_every_lane_hears_its_own_streams():
    encoder = Encoder("demo", device="cpu", precision="fp32", streams="frame,tokens:2,trunk:1")
    pictures = some_pictures(96, size=encoder.preprocessing.size)
    pending = Pending(videos("a")[0])
    with Lanes([encoder], 8) as some:
        some.fill(pending, pictures)
        list(some.finish())
    torch.set_num_threads(1)
    alone = [encoder.encode_frames(pictures[first : first + 8]) for first in range(0, 96, 8)]
    for name, rows in pending.streams().items():
        np.testing.assert_array_equal(rows, np.concatenate([one[name] for one in alone]), err_msg=name)


def test_a_process_is_worth_its_cost_when_lanes_had_nothing_to_do_for_as_long():
    encoder = HeldEncoder()
    with Lanes([encoder], 8) as some:
        assert not some.starve(0.4)
        assert some.starve(0.2)  # 0.6 s in all
        assert not some.starve(0.4)
        some.fill(Pending(videos("a")[0]), some_pictures(24))
        assert not some.starve(0.3)  # three of four lanes compute: a quarter of it counts
        assert some.starve(0.2)
        encoder.may_begin.set()
        list(some.finish())
        assert some.starve(0.6)  # what was computed has come back


def test_an_error_of_a_thread_is_raised_and_no_thread_is_left():
    class Broken(FakeEncoder):
        def start(self, pixels):
            raise ZeroDivisionError("broken")

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="broken"), Lanes([Broken()], 8) as some:
        some.fill(Pending(videos("a")[0]), some_pictures(24))
        list(some.finish())
    assert threading.active_count() == before
