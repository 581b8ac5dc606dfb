"""Groups: which videos come from one source and must not be on both sides of a draw."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from framebank.store.counts import counted, listed
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import Video

# UCF101's names: v_Archery_g01_c02 is the second clip cut from the first source of its class.
CLIP_NAME = re.compile(r"(.+_g\d{2,})_")


def groups_of(videos: Sequence[Video]) -> np.ndarray:
    """Return the number of each video's group, (V,) int64, counted from 0 in the order of the videos.

    The `group` of a video decides. Without it, clips with the same name up to "_gNN_", as in UCF101, are one group, and
    so are the parts of one file. Every other video is a group of its own.
    """
    cut = {str(video.path) for video in videos if video.start is not None or video.end is not None}
    several = any(len(video.labels) > 1 for video in videos)
    numbers: dict[tuple[str, ...], int] = {}
    found = np.empty(len(videos), dtype=np.int64)
    for place, video in enumerate(videos):
        found[place] = numbers.setdefault(_key(video, cut=cut, several=several), len(numbers))
    return found


def are_grouped(groups: np.ndarray) -> bool:
    """Whether any two videos are in one group."""
    return len(np.unique(groups)) < len(groups)


def tell_sources(videos: Sequence[Video], groups: np.ndarray) -> bool:
    """Whether the column group of videos, or their `groups_of` several videos each, tell which share a source."""
    return any(video.group for video in videos) or are_grouped(groups)


def undivided_classes(videos: Sequence[Video], *, least: int = 2) -> tuple[str, ...]:
    """Return the classes with `least` videos or more that are all in one group; sorted."""
    groups = groups_of(videos).tolist()
    of_class: dict[str, set[int]] = {}
    counts: Counter[str] = Counter()
    for video, group in zip(videos, groups, strict=True):
        for label in video.labels:
            of_class.setdefault(label, set()).add(group)
            counts[label] += 1
    return tuple(sorted(label for label, own in of_class.items() if counts[label] >= least and len(own) == 1))


def shared_note(train: Sequence[Video], val: Sequence[Video]) -> str:
    """Return one sentence on training videos that are of a group of validation videos; "" where there are none."""
    groups = groups_of([*train, *val])
    shared = int(np.isin(groups[: len(train)], groups[len(train) :]).sum())
    if not shared:
        return ""
    return (
        f"{counted(shared, 'training video')} {'is' if shared == 1 else 'are'} of one source with validation videos, "
        "so the score that chooses the epoch is too high; give both the same split, or other values in the column group"
    )


def undivided_note(classes: Sequence[str], *, so: str) -> str:
    """Return one sentence about classes with too few sources; `so` is the consequence; "" if there are none."""
    if not classes:
        return ""
    return (
        f"{counted(len(classes), 'class', 'classes')} ({listed(map(repr, classes), most=3)}) "
        f"{'has' if len(classes) == 1 else 'have'} videos of too few sources, so {so}; "
        "the column group of manifest.csv says which videos are of one source"
    )


def _key(video: Video, *, cut: Collection[str], several: bool) -> tuple[str, ...]:
    if video.group:
        return ("group", video.group)
    for name in (video.path.name, video.video_id.rpartition("/")[2]):
        found = CLIP_NAME.match(name) if "_g" in name else None
        if found:
            return ("source", nfc(found[1]), "" if several else video.label)
    file = str(video.path) if cut else ""
    return ("file", file) if file in cut else ("video", video.video_id)
