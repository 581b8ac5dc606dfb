import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from framebank.extract.sampling import (
    Sampling,
    clip_indices,
    clock_seconds,
    rate_indices,
    read_sampling,
    segment_indices,
)
from framebank.store.errors import DataError
from framebank.store.shard import distinct_mask

LENGTHS = [*range(1, 70), 300, 301, 17_999, 10**12]


def test_centres_by_hand():
    assert segment_indices(16, 4).tolist() == [2, 6, 10, 14]
    assert segment_indices(10, 4).tolist() == [1, 3, 6, 8]  # centres 1.25, 3.75, 6.25, 8.75
    assert segment_indices(7, 1).tolist() == [3]
    assert segment_indices(8, 8).tolist() == list(range(8))


def test_short_video_repeats_frames():
    assert segment_indices(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert segment_indices(1, 3).tolist() == [0, 0, 0]


def test_distinct_mask_is_false_on_repeats():
    assert distinct_mask(segment_indices(3, 8)).tolist() == [True, False, False, True, False, True, False, False]
    assert distinct_mask(segment_indices(100, 8)).all()
    assert distinct_mask(np.zeros(0, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8, 16, 25])
def test_properties(num_frames):
    segment = np.arange(num_frames)
    for total in LENGTHS:
        indices = segment_indices(total, num_frames)
        assert indices.dtype == np.int64
        assert indices.shape == (num_frames,)
        assert indices.min() >= 0
        assert indices.max() < total
        assert (np.diff(indices) >= 0).all()
        # frame f covers the time from f to f + 1: it must overlap its segment, total / num_frames long
        assert (indices * num_frames < (segment + 1) * total).all()
        assert ((indices + 1) * num_frames > segment * total).all()
        # mirrored exactly, but that a centre on a border between two frames takes the later one
        on_border = (2 * segment + 1) * total % (2 * num_frames) == 0
        assert (indices + indices[::-1] == np.where(on_border, total, total - 1)).all()
        assert distinct_mask(indices).sum() == len(set(indices.tolist()))


def test_long_video_needs_no_floats():
    total = 10**16 + 1
    expected = [(2 * i + 1) * total // 32 for i in range(16)]
    assert segment_indices(total, 16).tolist() == expected


@pytest.mark.parametrize(("total", "num_frames"), [(0, 8), (-1, 8), (8, 0)])
def test_nothing_to_sample(total, num_frames):
    with pytest.raises(ValueError, match=f"total={total}, num_frames={num_frames}"):
        segment_indices(total, num_frames)


# --- rules ---------------------------------------------------------------------------------------------------

STEADY = np.arange(100) / 25  # four seconds


def rows(spec, times=STEADY, **window):
    return read_sampling(spec)(times, **window).tolist()


@pytest.mark.parametrize(
    ("spec", "num_clips", "is_fixed"),
    [
        ("segments:16", 1, True),
        ("fps:2", 1, False),
        ("fps:0.5", 1, False),
        ("fps:29.97", 1, False),
        ("stride:8", 1, False),
        ("every", 1, False),
        ("clips:10x8", 10, True),
    ],
)
def test_a_spec_is_read_and_told(spec, num_clips, is_fixed):
    sampling = read_sampling(spec)
    assert (sampling.spec, sampling.num_clips, sampling.is_fixed) == (spec, num_clips, is_fixed)
    again = pickle.loads(pickle.dumps(sampling))
    assert again == sampling
    assert again(STEADY).tolist() == sampling(STEADY).tolist()
    assert sampling(STEADY).dtype == np.int64
    assert sampling(STEADY).shape[0] == num_clips


@pytest.mark.parametrize(
    ("told", "meant"),
    [("fps:2.0", "fps:2"), ("fps:010", "fps:10"), ("clips:03x4", "clips:3x4"), ("segments:08", "segments:8")],
)
def test_one_text_for_one_sampling(told, meant):
    assert read_sampling(told).spec == meant
    assert read_sampling(told) == read_sampling(meant)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "16",
        "uniform:8",
        "segments",
        "segments:",
        "segments:0",
        "segments:-1",
        "segments:1.5",
        "segments:8 ",
        "every:2",
        "fps:0",
        "fps:0.0",
        "fps:x",
        "fps:1e3",
        "fps:1/2",
        "stride:0",
        "clips:3",
        "clips:3x0",
        "clips:3x4/2",
        "clips:3x4x5",
        "segments:10000000",
        "segments:٣",
        "fps:2\n",
    ],
)
def test_what_is_no_sampling(spec):
    with pytest.raises(DataError, match=r"is not a sampling; expected segments:T, fps:F, stride:S, every, clips:"):
        read_sampling(spec)


def test_a_sampling_checks_itself():
    for name, numbers in [("segments", ()), ("fps", (Decimal(0),)), ("nothing", (Decimal(1),))]:
        with pytest.raises(ValueError, match="is not a sampling"):
            Sampling(name, numbers)


def test_rows_by_hand():
    assert rows("segments:4") == [[12, 37, 62, 87]]
    assert rows("fps:2") == [[0, 12, 25, 37, 50, 62, 75, 87]]  # frame 12 is shown from 0.48 to 0.52 s
    assert rows("fps:5") == [list(range(0, 100, 5))]
    assert rows("fps:25") == rows("fps:1000") == rows("every") == [list(range(100))]
    assert rows("stride:40") == [[0, 40, 80]]
    assert rows("clips:5x2") == [[5, 55], [15, 65], [25, 75], [35, 85], [45, 95]]  # 50 frames a segment, 10 a clip
    assert rows("clips:1x4") == rows("segments:4")


def test_a_video_shorter_than_its_rows():
    assert rows("segments:5", STEADY[:2]) == [[0, 0, 1, 1, 1]]
    assert rows("clips:2x3", STEADY[:3]) == [[0, 1, 2], [0, 1, 2]]
    assert rows("clips:2x2", STEADY[:1]) == [[0, 0], [0, 0]]
    for spec in ("fps:2", "fps:0.001", "stride:99", "every"):
        assert rows(spec, STEADY[:1]) == [[0]]
    assert rows("fps:0.001") == [[0]]


def test_a_rate_follows_the_times_and_not_the_count():
    times = np.array([0, 0.1, 0.2, 0.3, 0.4, 2.0, 2.1, 5.0])
    # on the screen at 0, 1, 2, 3, 4 and 5 seconds: 0, 4, 5, 6, 6, 7
    assert rows("fps:1", times) == [[0, 4, 5, 6, 7]]
    assert rows("fps:4", times) == [[0, 2, 4, 5, 6, 7]]  # 0.5 to 1.75 s show frame 4 alone
    assert rows("fps:0.4", times) == [[0, 6, 7]]  # 0, 2.5, 5


def test_rounding_of_floats_misses_no_moment():
    assert rows("fps:3", np.arange(9000) / 30) == [list(range(0, 9000, 10))]
    assert rows("fps:29.97", np.arange(300) / 29.97) == [list(range(300))]


@pytest.mark.parametrize("fps", ["0.3", "1", "2", "7.5", "12", "24", "59.94"])
def test_a_rate_against_looking_at_the_screen(fps):
    random = np.random.default_rng(5)
    varying = np.cumsum(random.integers(3, 200, 300)) / 1000
    for times, clock in ((STEADY, 1e-6), (np.arange(500) / 29.97, 1e-6), (varying - varying[0], 1e-3)):
        moments = np.arange(int((times[-1] + clock) * float(fps)) + 1) / float(fps)
        shown = [max(i for i, time in enumerate(times) if time <= moment + clock) for moment in moments]
        assert rows(f"fps:{fps}", times)[0] == sorted(set(shown))


@pytest.mark.parametrize(
    ("rate", "ticks", "first"),
    [
        (30, 1000, 0),  # Matroska, FLV
        (30, 1000, 0.0667),
        (60, 1000, 7 / 60),
        (Fraction(24000, 1001), 90_000, 1.4),  # MPEG-TS
        (Fraction(30000, 1001), 12_800, 0),
        (Fraction(30000, 1001), 1000, 0.01),
        (240, 1000, 0),
    ],
)
@pytest.mark.parametrize("rounded", [np.round, np.floor])
def test_a_clock_that_rounds_changes_no_frame(rate, ticks, first, rounded):
    exact = np.arange(2000) / float(rate)
    times = rounded((exact + float(first)) * ticks + 1e-6) / ticks  # what is whole stays so in floats
    times -= times[0]
    assert 1 / ticks == pytest.approx(clock_seconds(times), rel=1e-6)
    for step in (1, 2, 3, 10, 30):
        fps = float(rate) / step
        np.testing.assert_array_equal(rate_indices(times, fps), np.arange(0, 2000, step))
        np.testing.assert_array_equal(rate_indices(times, fps), rate_indices(exact, fps))


def test_frames_that_were_left_out_do_not_hide_the_clock():
    kept = np.delete(np.arange(90), [4, 5, 33, 61])
    times = np.round(kept / 30, 3)
    assert clock_seconds(times) == 1e-3
    assert [kept[i] for i in rows("fps:3", times)[0]] == [0, 10, 20, 30, 40, 50, 60, 70, 80]


def test_the_clock_is_never_half_a_frame():
    assert clock_seconds(np.arange(1000) / 1000) == 1e-6  # steady: nothing was rounded
    assert clock_seconds(np.array([0, 0.001, 0.0015, 0.01])) == pytest.approx(0.00025)
    assert clock_seconds(np.zeros(1)) == 1e-6
    assert rows("fps:1000", np.arange(300) / 1000) == [list(range(300))]
    uneven = np.cumsum([0, 1, 2, 1, 1, 3, 1]) / 1000
    assert rows("fps:1000", uneven) == [list(range(7))]


def test_a_range_is_sampled_as_if_there_were_no_more():
    assert rows("every", start=1, end=1.2) == [[25, 26, 27, 28, 29]]
    assert rows("segments:2", start=1, end=2) == [[25 + 6, 25 + 18]]
    assert rows("fps:2", start=1.0, end=3.0)[0][:2] == [25, 37]
    assert rows("stride:20", start=3.9) == [[98]]
    assert rows("clips:2x1", end=0.08) == [[0], [1]]
    assert rows("every", end=0.04) == [[0]]
    assert read_sampling("clips:2x1").rows(STEADY, start=1, end=1.08).tolist() == [25, 26]


def test_ranges_that_follow_each_other_share_no_frame():
    times = np.round(np.arange(200) / 30, 3)
    for cut in (0.5, 1 / 3, 2.0, 4.4444):
        assert rows("every", times, end=cut)[0] + rows("every", times, start=cut)[0] == list(range(200))


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ({"start": 4}, "no frame from 4 s to the end: its last frame is at 3.96 s"),
        ({"start": 1.01, "end": 1.03}, "no frame from 1.01 s to 1.03 s"),
        ({"start": 2, "end": 1}, "no frame from 2 s to 1 s"),
        ({"end": 0}, "no frame from 0 s to 0 s"),
        ({"start": float("nan")}, "no frame from nan s"),
    ],
)
def test_a_range_without_a_frame(window, told):
    with pytest.raises(DataError, match=told):
        rows("every", **window)


@pytest.mark.parametrize(("num_clips", "num_frames"), [(1, 8), (2, 8), (10, 4), (7, 1)])
def test_each_clip_covers_the_video(num_clips, num_frames):
    for total in (1, 5, 16, 17, 100, 333):
        found = clip_indices(total, num_clips, num_frames)
        assert found.shape == (num_clips, num_frames)
        for clip in range(num_clips):
            for segment in range(num_frames):
                exact = (segment + Fraction(2 * clip + 1, 2 * num_clips)) * total / num_frames
                assert found[clip, segment] == exact.numerator // exact.denominator
