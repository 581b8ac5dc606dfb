"""Keyed arrays: which arrays of a file are videos, if it holds one for each video and not one for all."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.exchange.arrays import (
    CLASS_NAMES,
    EMBEDDING_NAMES,
    END_NAMES,
    ID_NAMES,
    LABEL_NAMES,
    SPLIT_COLUMNS,
    Arrays,
)
from framebank.store.videos.video import SPLIT_NAMES

# What names of several arrays of the same video may contain.
FEATURE_WORDS = frozenset(
    (
        "rgb",
        "flow",
        "audio",
        "sound",
        "depth",
        "pose",
        "motion",
        "frames",
        "clip",
        "feature",
        "features",
        "feat",
        "feats",
    )
)

# Arrays with these names describe many videos at once.
OF_ALL_NAMES = frozenset((*ID_NAMES, *LABEL_NAMES, *SPLIT_COLUMNS, *END_NAMES, *CLASS_NAMES))


@dataclass(frozen=True)
class Keyed:
    """The name of the array of each video_id, "" where a group has none, and how many arrays belong to no video."""

    array_of: Mapping[str, str]
    num_others: int = 0


def keyed_arrays(arrays: Arrays, wanted: str | None) -> Keyed | None:
    """Return which array is which video, or None if the arrays are not laid out so.

    In groups (HDF5, or names with slashes) that hold one array each, as `v_x/c3d_features`, a group is a video. Where
    they hold several, `wanted` names that of the video, or one of the usual names is in every group. Otherwise, also in
    a single group, each array is a video, where all are numbers of one width. DataError if groups hold several and
    none is named, or where arrays are of several widths.
    """
    groups: dict[str, list[str]] = {}
    for name in arrays:
        folder, _, leaf = name.rpartition("/")
        groups.setdefault(folder, []).append(leaf)
    top = groups.pop("", [])
    if groups and (wanted or not top):
        found = _in_groups(arrays, groups, wanted, num_top=len(top))
        if found is not None:
            return found
    if wanted or (top and groups):
        return None
    names = {name: name for name in arrays}
    if not _are_videos(arrays, names):
        return None
    if not _are_alike(arrays):
        _refuse_widths(arrays)
        return None
    return Keyed(names)


def _in_groups(
    arrays: Arrays, groups: Mapping[str, Sequence[str]], wanted: str | None, *, num_top: int
) -> Keyed | None:
    leaves = Counter(leaf for group in groups.values() for leaf in group)
    single = all(len(group) == 1 for group in groups.values())
    common = [leaf for leaf, count in leaves.items() if count == len(groups)]
    if wanted:
        chosen = {group: wanted if wanted in inside else "" for group, inside in groups.items()}
        if wanted not in leaves:
            return None
    elif single:
        if len(groups) > 1 and len(leaves) == len(groups):
            return None  # folders of arrays, each of its own name
        chosen = {group: inside[0] for group, inside in groups.items()}
    else:
        usual = next((name for name in EMBEDDING_NAMES if name in common), None)
        if usual is None:
            if len(groups) == 1 and not _are_features(common):
                return None  # a folder of arrays, each of them a video
            if common and _are_videos(arrays, {group: f"{group}/{common[0]}" for group in groups}):
                raise DataError(
                    f"{arrays.path}: holds {counted(len(groups), 'group')} of several arrays, such as "
                    f"{listed(groups[next(iter(groups))])}; choose the one of the video with --array"
                )
            return None
        chosen = dict.fromkeys(groups, usual)
    array_of = {group: f"{group}/{leaf}" if leaf else "" for group, leaf in chosen.items()}
    array_of.update(dict.fromkeys(arrays.empty_groups, ""))
    others = num_top if wanted else 0
    return Keyed(array_of, others) if wanted or _are_videos(arrays, array_of) else None


def _are_features(names: Sequence[str]) -> bool:
    """Whether names of arrays say what was measured, as "rgb" and "flow", rather than of which video."""
    return any(word in FEATURE_WORDS for name in names for word in re.split(r"[\W_\d]+", name.lower()))


def _refuse_widths(arrays: Arrays) -> None:
    """Refuse arrays that may be videos, such as (T, D), but have several widths D: DataError."""
    forms = {name: arrays.describe(name).shape for name in arrays}
    widths = {shape[-1]: name for name, shape in reversed(forms.items()) if len(shape) > 1}
    if len(widths) > 1 and len({len(shape) for shape in forms.values()}) == 1:
        (one, a), (other, b) = sorted(widths.items())[:2]
        raise DataError(
            f"{arrays.path}: holds the arrays {listed(arrays)} of {len(widths)} widths, such as {a!r} of {one} and "
            f"{b!r} of {other}; choose one with --array, or if each is a video, expected one width"
        )


def _are_videos(arrays: Arrays, array_of: Mapping[str, str]) -> bool:
    """Whether these arrays can be videos: they are numbers, and nothing beside them tells of many videos."""
    if any(name.rpartition("/")[2] in OF_ALL_NAMES and arrays.describe(name).size > 1 for name in arrays):
        return False
    if _are_splits(array_of):
        return False
    found = [arrays.describe(name) for name in array_of.values() if name]
    return all(one.kind in "fiu" and one.shape for one in found)


def _are_splits(names: Collection[str]) -> bool:
    """Whether names differ only in the word for a split, as "x_train" and "x_test"."""
    words = [[word for word in re.split(r"[\W_]+", name.lower()) if word] for name in names]
    others = {tuple(word for word in name if word not in SPLIT_NAMES) for name in words}
    return (
        len(others) == 1 and all(set(name) & SPLIT_NAMES.keys() for name in words) and (len(names) > 1 or () in others)
    )


def _are_alike(arrays: Arrays) -> bool:
    """Whether most arrays have frames of one shape; two sets of features of all videos do not."""
    found = [arrays.describe(name) for name in arrays]
    frames = Counter((len(one.shape), one.shape[1:] or one.shape) for one in found)
    return len({len(one.shape) for one in found}) == 1 and max(frames.values()) * 2 > len(found)
