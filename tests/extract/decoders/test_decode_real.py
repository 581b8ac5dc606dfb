"""Real videos against decoding everything, from many threads, and the memory that it takes."""

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from framebank.extract.decoders.decode import count_frames, read_clip, read_frames
from framebank.extract.decoders.pixels import Reading
from framebank.extract.decoders.pyav import scan_packets
from framebank.extract.sampling import read_sampling, segment_indices
from framebank.tests.worlds.decode import DATA, SAMPLES, TURNS, needs_data, needs_decord
from framebank.tests.worlds.video import write_indexed

# Some of them have pixels that are not square; what is decoded is compared before that is made good.
AS_CODED = Reading(square=False)

UCF = sorted(DATA.glob("ucf101-mini/*/*.avi"))
WHOLE = [path for path in SAMPLES if path.name != "corrupted.mp4"]


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    return write_indexed(tmp_path_factory.mktemp("mp4") / "plain.mp4")


def decode_everything(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("path", [*UCF, *WHOLE], ids=lambda path: path.name)
def test_real_video_against_decoding_everything(path):
    everything = np.rot90(decode_everything(path), TURNS.get(path.stem, 0), axes=(1, 2))
    assert count_frames(path) == len(everything)
    clip = read_clip(path, lambda times: segment_indices(len(times), 16), reading=AS_CODED)
    np.testing.assert_array_equal(clip.indices, segment_indices(len(everything), 16))
    np.testing.assert_array_equal(clip.data, everything[clip.indices])
    assert (np.diff(clip.timestamps)[np.diff(clip.indices) > 0] > 0).all()
    for index in np.random.default_rng(0).integers(0, len(everything), 3):
        np.testing.assert_array_equal(read_frames(path, np.array([index]), reading=AS_CODED).data[0], everything[index])


@needs_data
def test_a_rate_on_real_matroska():
    frames = read_clip(DATA / "decoders" / "flipping_a_pancake.mkv", read_sampling("fps:3").rows)  # 30 frames a second
    assert frames.indices.tolist() == list(range(0, 310, 10))


@pytest.mark.slow
@needs_data
@needs_decord
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_real_video_by_decord_where_proven(path):
    if scan_packets(path).doubt:
        pytest.skip(scan_packets(path).doubt)
    everything = np.rot90(decode_everything(path), TURNS.get(path.stem, 0), axes=(1, 2))
    clip = read_clip(path, lambda times: segment_indices(len(times), 16), decoder="decord", reading=AS_CODED)
    assert np.abs(clip.data.astype(int) - everything[clip.indices]).max() <= 3


@pytest.mark.slow
@needs_data
@needs_decord
def test_many_threads_and_both_decoders():
    proven = [path for path in WHOLE if not scan_packets(path).doubt]
    jobs = [job for clip, path in zip(UCF, proven * 9, strict=False) for job in ((clip, "auto"), (path, "decord"))]
    with ThreadPoolExecutor(4) as pool:
        clips = pool.map(
            lambda job: read_clip(job[0], lambda times: segment_indices(len(times), 16), decoder=job[1]), jobs
        )
        assert [len(clip) for clip in clips] == [16] * len(jobs)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("decoder", ["pyav", pytest.param("decord", marks=needs_decord)])
def test_memory_stays_flat(mp4, decoder):
    def resident_mib():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) / 256

    def read_many(count):
        for _ in range(count):
            read_clip(mp4, lambda times: segment_indices(len(times), 16), decoder=decoder)
        return resident_mib()

    settled = read_many(100)
    assert read_many(400) - settled < 8
