"""One file of features of another program: its videos, and a way to read each from the arrays in the file."""

from collections.abc import Sequence

import numpy as np

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
from framebank.store.exchange.keyed import Keyed, keyed_arrays
from framebank.store.exchange.source import Columns, Names, RawFrames, Source
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.split_folders import splits_and_labels
from framebank.store.videos.split_names import usual_splits
from framebank.store.videos.video import Video


def one_file_source(arrays: Arrays, names: Names) -> Source:
    """Return the videos of a file's arrays: one array of all videos, or one for each; DataError if neither is so."""
    keyed = _keyed(arrays, names)
    if keyed:
        return _keyed_source(arrays, keyed)
    embeddings = arrays[arrays.require(names.array, EMBEDDING_NAMES, option="--array")]
    if embeddings.ndim < 2 or not len(embeddings):
        raise DataError(f"{arrays.path}: its array has the shape {embeddings.shape}, expected (V, T, D) or (V, D)")
    end_name = arrays.find(names.end, END_NAMES)
    ends = _ends(arrays, end_name, len(embeddings)) if end_name else None
    count = len(embeddings) if ends is None else len(ends) - 1
    if count == 0:
        raise DataError(f"{arrays.path}: holds no video")
    split_name = arrays.find(names.split, _split_names(arrays))
    columns = Columns(
        ids=arrays.strings(name) if (name := arrays.find(names.ids, ID_NAMES)) else [],
        labels=_labels(arrays, names),
        splits=_splits(arrays, split_name, names.split_values) if split_name else [],
    )
    manifest = columns.manifest(arrays.path, count)
    row_of = {video.video_id: row for row, video in enumerate(manifest.videos)}

    def read(video: Video) -> RawFrames:
        row = row_of[video.video_id]
        return RawFrames(np.array(embeddings[row] if ends is None else embeddings[ends[row] : ends[row + 1]]))

    return Source(manifest, read)


def _keyed(arrays: Arrays, names: Names) -> Keyed | None:
    """Which array is which video, if no array holds all videos and none was named."""
    if names.ids or names.label or names.classes or names.split or names.end or names.array in arrays:
        return None
    only = next(iter(arrays)) if len(arrays) == 1 and not arrays.empty_groups else ""
    of_all = only and ("/" not in only or only.rpartition("/")[2] in EMBEDDING_NAMES)
    if of_all or (not names.array and any(name in arrays for name in EMBEDDING_NAMES)):
        return None
    return keyed_arrays(arrays, names.array)


def _keyed_source(arrays: Arrays, keyed: Keyed) -> Source:
    where = arrays.path.absolute()
    ids = list(keyed.array_of)
    places = splits_and_labels([tuple(name.split("/")[:-1]) for name in ids], where=where)
    videos = [Video(name, where, label, split) for name, (split, label) in zip(ids, places, strict=True)]

    def read(video: Video) -> RawFrames:
        name = keyed.array_of[video.video_id]
        if not name:
            raise DataError("its group has no such array")
        return RawFrames(np.array(arrays[name]))

    taken = [name for name in keyed.array_of.values() if name]
    note = f"{counted(len(taken), 'array')}, each one video: {listed(taken, most=3)}"
    others = f"{counted(keyed.num_others, 'array')} outside the groups not read" if keyed.num_others else ""
    return Source(Manifest(tuple(videos)), read, notes=(note, *filter(None, [others])))


def _split_names(arrays: Arrays) -> Sequence[str]:
    others = [name for name in arrays if name.startswith("split")]
    return (*SPLIT_COLUMNS, *(others if len(others) == 1 else ()))  # one of several is for the user to choose


def _ends(arrays: Arrays, name: str, rows: int) -> np.ndarray:
    """Return 0 and the row after the last one of each video, (V + 1,)."""
    ends = np.asarray(arrays[name][:])
    if ends.ndim == 1 and len(ends) and ends.dtype.kind in "iu":
        ends = ends.astype(np.int64)
        ends = ends if ends[0] == 0 else np.concatenate([[0], ends])
        if ends[-1] == rows and (np.diff(ends) > 0).all():
            return ends
    raise DataError(
        f"{arrays.path}: its array {name!r} does not rise from video to video up to the number of rows, {rows}"
    )


def _labels(arrays: Arrays, names: Names) -> list[str]:
    name = arrays.find(names.label, LABEL_NAMES)
    if name is None:
        return []
    labels = arrays.strings(name)
    class_name = arrays.find(names.classes, CLASS_NAMES)
    if arrays[name].dtype.kind not in "iu" or class_name is None:
        return labels
    classes = arrays.strings(class_name)
    strange = next((label for label in labels if not 0 <= int(label) < len(classes)), None)
    if strange is not None:
        raise DataError(
            f"{arrays.path}: holds the label {strange}, but {class_name!r} has "
            f"{counted(len(classes), 'class', 'classes')}"
        )
    return [classes[int(label)] for label in labels]


def _splits(arrays: Arrays, name: str, values: tuple[str, ...]) -> list[str]:
    array = arrays[name]
    if array.dtype.kind not in "biu":
        given = arrays.strings(name)
        read_as = usual_splits(given, where=arrays.path)
        return [read_as[split] for split in given]
    numbers = np.asarray(array[:]).astype(np.int64).reshape(-1)
    if not len(numbers):
        raise DataError(f"{arrays.path}: its {name!r} holds no number; expected one for each video")
    if not values or numbers.min() < 0 or numbers.max() >= len(values):
        raise DataError(
            f"{arrays.path}: its {name!r} holds the numbers {numbers.min()} to {numbers.max()}; name the split that "
            "each stands for, 0 first: --split-values train,test"
        )
    read_as = usual_splits(values, where="--split-values")
    return [read_as[values[number]] for number in numbers]
