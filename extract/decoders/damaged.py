"""Damaged videos: the frames that are whole are used, and what was left out is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from framebank.extract.decoders.frames import Clip, Sample, Sink
from framebank.extract.decoders.packets import Packets, frame_times
from framebank.extract.decoders.picture import Picture, Shown, is_damaged
from framebank.extract.sampling import checked_indices
from framebank.store.counts import counted
from framebank.store.errors import DataError


def read_undamaged(
    path: Path,
    sample: Sample,
    sink: Sink,
    *,
    packets: Packets,
    picture: Picture,
    decode: Callable[[], Iterator[Shown]],
) -> Clip:
    """Put frames of a damaged video into `sink`, sampled as if those that are not damaged were all.

    Indices and times are those among all frames that decode. The clip's decoder tells what was left out. `decode` gives
    the frames from the start, once more at each call, and goes on behind what does not decode. DataError if no frame
    is whole.
    """
    pts: list[int | None] = []
    damaged: list[bool] = []
    for shown in decode():
        sink.tick()
        pts.append(shown.frame.pts)
        damaged.append(is_damaged(shown, after=bool(damaged) and damaged[-1]))
    whole = np.flatnonzero(~np.array(damaged, dtype=bool))  # (W,)
    if not len(whole):
        raise DataError(f"{path}: none of its frames is good" + (f"; {packets.damage}" if packets.damage else ""))
    times = frame_times(path, pts=pts, packets=packets)
    indices = whole[checked_indices(sample(times[whole]))]
    wanted = set(indices.tolist())
    for index, shown in enumerate(decode()):
        sink.tick()
        if index in wanted:
            sink.add(index, picture(shown))
    # Packets of which no frame came are damaged frames as well.
    left_out = max(len(pts), packets.count) - len(whole)
    notes = [f"{counted(left_out, 'damaged frame')} left out"] * bool(left_out)
    notes += ["a part of the file is missing"] * bool(packets.damage)
    decoder = f"pyav ({'; '.join(notes)})" if notes else "pyav"
    return Clip(indices=indices, timestamps=times[indices], decoder=decoder)
