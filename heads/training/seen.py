"""Seen: which videos a run was trained on, as a short mark of each video_id."""

import base64
import binascii
import hashlib
from collections.abc import Iterable

import numpy as np

MARK = np.dtype("<u8")


def marks_of(video_ids: Iterable[str]) -> str:
    """Return the marks of videos as one text: 64 bits of each, sorted.

    >>> seen_among(["a", "b"], marks_of(["b", "c"]))
    ['b']
    """
    return base64.b64encode(np.unique(_marks(video_ids)).tobytes()).decode()


def seen_among(video_ids: Iterable[str], marks: str) -> list[str]:
    """Return those of the videos that are among the marks; none if the text is empty, as that of earlier runs.

    ValueError if the text is not one of marks.
    """
    try:
        content = base64.b64decode(marks, validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64") from error
    if len(content) % MARK.itemsize:
        raise ValueError("is cut")
    ids = list(video_ids)
    found = np.isin(_marks(ids), np.frombuffer(content, dtype=MARK))
    return [video_id for video_id, is_seen in zip(ids, found.tolist(), strict=True) if is_seen]


def _marks(video_ids: Iterable[str]) -> np.ndarray:
    each = [
        hashlib.blake2b(video_id.encode(errors="backslashreplace"), digest_size=MARK.itemsize).digest()
        for video_id in video_ids
    ]
    return np.frombuffer(b"".join(each), dtype=MARK)
