"""Durations: how long the videos of a store are, by the times of their last rows and the sampling that chose them."""

import re

import numpy as np

from framebank.store.features import FeatureStore
from framebank.store.shard import WINDOW
from framebank.store.videos.columns import VideoColumns

DIGITS = 3  # of seconds that are kept
RULE = re.compile(r"(segments|clips|fps|stride):(\d+(?:\.\d+)?)(?:x(\d+))?")


def durations_of(store: FeatureStore, videos: VideoColumns) -> list[float | None]:
    """Return how long each of these videos is, in seconds, (V,); None for a picture.

    A part of a video is as long as the list says. Otherwise the last row and the rule of the sampling say where the end
    is: exact to about a frame, and for rows at a fixed distance to half of that distance. KeyError if the store has no
    such video.
    """
    times = np.array(videos.times or [(None, None)] * len(videos), dtype=np.float64).reshape(-1, 2)
    starts, ends = np.nan_to_num(times[:, 0]), times[:, 1]
    names = ("timestamp", "frame_index", *[WINDOW] * store.has_windows)
    shown, frames, *windows = store.latest(videos.ids, *names)
    last = windows[0] if windows else shown
    frame = np.divide(shown, frames, out=np.zeros_like(shown), where=frames > 0)  # seconds of one
    found = np.where(np.isnan(ends), _measured(store.spec.sampling, last - starts, frame), ends - starts)
    return [round(seconds, DIGITS) if seconds > 0 else None for seconds in found.tolist()]


def _measured(sampling: str, last: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return the seconds (V,) up to the end, where the last row is at `last` and a frame lasts `frame`.

    The last of T segments is sampled at its middle, rounded down to a frame. Rows at a fixed distance stop at any part
    of it before the end; the middle is taken. Rows of another rule are taken to last as long as a frame.
    """
    told = RULE.fullmatch(sampling)
    rule, number = (told[1], float(told[2]) * float(told[3] or 1)) if told else ("", 1.0)
    if rule in ("segments", "clips"):
        return np.where(frame > 0, (last + frame / 2) * (2 * number / (2 * number - 1)), 0.0)
    step = np.maximum(frame, 1 / number) if rule == "fps" and number else frame * max(number, 1)
    ends: np.ndarray = last + (step + frame) / 2
    return ends
