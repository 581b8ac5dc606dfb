"""Rows: turn what was encoded once for each distinct frame, or window, into the rows of a sampling."""

from collections.abc import Mapping

import numpy as np

from framebank.extract.decoders.frames import Clip
from framebank.extract.windows import clip_places, window_facts
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, Embeddings


def assemble(
    clip: Clip, streams: Mapping[str, np.ndarray], *, num_views: int, num_clips: int, clip_frames: int = 1
) -> Embeddings:
    """Return a video's rows, ordered by view, clip and frame.

    `clip.indices` (C * T,) are the sampled frames of C clips; each stream (U * num_views, ...) holds the U distinct
    ones in ascending order, with the views of each side by side. If the encoder reads windows of `clip_frames` frames,
    U counts the windows, which are clip by clip. ValueError if the two do not agree.
    """
    if clip_frames > 1:
        return _of_windows(clip, streams, num_views=num_views, num_clips=num_clips, size=clip_frames)
    distinct, position = np.unique(clip.indices, return_inverse=True)  # (U,), (C * T,)
    by_view = {name: _by_view(rows, len(distinct), num_views=num_views) for name, rows in streams.items()}
    rows = {
        name: values[:, position].reshape(-1, *values.shape[2:])  # (views * C * T, ...)
        for name, values in by_view.items()
        if name != PATCH_MEAN
    }
    per_clip = len(clip.indices) // num_clips
    return Embeddings(
        data=rows.pop(FRAME_STREAM),
        timestamps=np.tile(clip.timestamps, num_views),
        indices=np.tile(clip.indices, num_views),
        views=np.repeat(np.arange(num_views), len(clip.indices)),
        clips=np.tile(np.repeat(np.arange(num_clips), per_clip), num_views),
        streams=rows,
        patch_mean=_patch_mean(by_view.get(PATCH_MEAN), position.reshape(num_clips, per_clip)),
    )


def _of_windows(
    clip: Clip, streams: Mapping[str, np.ndarray], *, num_views: int, num_clips: int, size: int
) -> Embeddings:
    """Return one row for each window: its middle frame, the time halfway, and the seconds of its first and last."""
    places = clip_places(len(clip.indices), size=size, num_clips=num_clips)  # (W, size)
    rows = {
        name: np.concatenate(_by_view(values, len(places), num_views=num_views))  # (views * W, ...)
        for name, values in streams.items()
    }
    facts = window_facts(clip.indices, clip.timestamps, places)
    per_clip = len(places) // num_clips
    return Embeddings(
        data=rows.pop(FRAME_STREAM),
        timestamps=np.tile(facts["timestamps"], num_views),
        indices=np.tile(facts["indices"], num_views),
        views=np.repeat(np.arange(num_views), len(places)),
        clips=np.tile(np.repeat(np.arange(num_clips), per_clip), num_views),
        streams=rows,
        windows=np.tile(facts["windows"], (num_views, 1)),
    )


def _by_view(rows: np.ndarray, count: int, *, num_views: int) -> np.ndarray:
    """Return rows (U * views, ...) as (views, U, ...)."""
    return np.swapaxes(rows.reshape(count, num_views, *rows.shape[1:]), 0, 1)


def _patch_mean(tokens: np.ndarray | None, position: np.ndarray) -> np.ndarray | None:
    """Average patch tokens (views, U, P, W) over each clip's distinct frames, position (C, T) -> (views * C, P, W)."""
    if tokens is None:
        return None
    means = [view[np.unique(frames)].mean(axis=0) for view in tokens for frames in position]
    return np.stack(means)
