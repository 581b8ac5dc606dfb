"""decord: the sampled frames of a video file, only where its random access is proven exact; the door to the library."""

from pathlib import Path

import numpy as np

from framebank.extract.frames import Clip, Sample, Sink, refuse_beyond
from framebank.extract.packets import packet_times
from framebank.extract.pyav import scan_packets
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError

# decord keeps times in single precision: a quarter of a millisecond at one hour.
CLOCK_SECONDS = 2e-3

# Frames that are held at once.
CHUNK = 32


def read_decord(path: Path, sample: Sample, sink: Sink) -> Clip:
    """Put the sampled frames into `sink`; DataError where decord is not proven right on this file.

    decord seeks by packet numbers: right where packets are frames one to one and groups of pictures are closed.
    """
    try:
        import decord
    except ImportError as error:
        raise DataError(
            f"{path}: decord is not installed; decoder 'pyav' reads every file that decord reads"
        ) from error
    packets = scan_packets(path, tick=sink.tick)
    if packets.doubt:
        raise DataError(f"{path}: decord is not proven right on this file: {packets.doubt}")
    times = packet_times(packets)
    indices = checked_indices(sample(times))
    refuse_beyond(path, indices=indices, total=packets.count)
    wanted = np.unique(indices)
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(reader) != packets.count:
            raise DataError(f"{path}: decord counts {len(reader)} frames, the file has {packets.count}")
        seen = reader.get_frame_timestamp(np.append(wanted, 0))[:, 0].astype(np.float64)
        if np.abs(seen[:-1] - seen[-1] - times[wanted]).max() > CLOCK_SECONDS:
            raise DataError(f"{path}: decord tells other frame times than the file")
        for part in np.split(wanted, range(CHUNK, len(wanted), CHUNK)):
            for index, image in zip(part.tolist(), reader.get_batch(part).asnumpy(), strict=True):
                sink.tick()
                sink.add(index, image)
    except decord.DECORDError as error:
        reason = str(error).strip().splitlines()[0].rpartition("] ")[2]
        raise DataError(f"{path}: decord fails: {reason}") from error
    return Clip(indices=indices, timestamps=times[indices], decoder="decord")
