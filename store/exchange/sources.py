"""Sources: open features of another program as a list of videos and a way to read each."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.exchange.array_source import one_file_source
from framebank.store.exchange.arrays import EMBEDDING_NAMES, Arrays
from framebank.store.exchange.export_names import NAMES_FILE
from framebank.store.exchange.source import OF_WINDOWS, Names, RawFrames, Source
from framebank.store.exchange.tarred import arrays_in_tars, parse_about, read_tarred, told_video
from framebank.store.files.walk import walk_folder
from framebank.store.formats.document import Fields, read_json
from framebank.store.formats.npy import read_npy
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.plan import OTHERS
from framebank.store.videos.intake import suffix_reason, told
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.spelling import ids_of_files
from framebank.store.videos.split_folders import splits_and_labels
from framebank.store.videos.tars import is_tar
from framebank.store.videos.video import Video
from framebank.store.videos.videos_csv import with_usual_splits

FILE_SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".h5", ".hdf5")
OTHER_SUFFIXES = (".parquet", ".csv", ".tar")
MAGIC = {b"PAR1": ".parquet", b"\x93NUMPY": ".npy", b"PK\3\4": ".npz"}  # how files begin
TIMES, RATE = "_timestamps_ms.npy", "_fps.npy"  # beside NAME_clip.npy, as video_features writes them

# An export keeps here what made the store: a name that no file of a video has.
SPEC_FILE = "store.spec"


def open_source(path: Path, names: Names) -> Source:
    """Return the features at `path`: a folder or CSV of feature files, a parquet file, tars, or one file of arrays.

    DataError if there is nothing to read, or the parts of it do not fit together.
    """
    if path.is_dir():
        return _folder(path, names)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; expected a folder of features, or a file of them")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        videos = with_usual_splits(Manifest.read_csv(path).videos, where=path)
        return Source(Manifest(videos), _file_reader(names))
    if suffix not in FILE_SUFFIXES and path.is_file():
        suffix = _suffix_of(path)
    if suffix == ".parquet":
        from framebank.store.exchange.parquet import parquet_source  # pyarrow is an extra

        return parquet_source(path, names)
    if is_tar(path):
        return Source(Manifest(arrays_in_tars([path])), _read_member, _read_spec(path.with_name(SPEC_FILE)))
    if suffix not in FILE_SUFFIXES:
        raise DataError(f"{path}: is not a file of features; expected {', '.join((*FILE_SUFFIXES, *OTHER_SUFFIXES))}")
    return one_file_source(Arrays(path), names)


def _suffix_of(path: Path) -> str:
    """The suffix that fits the first bytes of a file; its own if they do not show one."""
    with path.open("rb") as file:
        start = file.read(max(map(len, MAGIC)))
    return next((suffix for magic, suffix in MAGIC.items() if start.startswith(magic)), path.suffix.lower())


def _file_reader(names: Names) -> Callable[[Video], RawFrames]:
    return lambda video: _read_file(video.path, names.array)


def _read_file(path: Path, array: str | None) -> RawFrames:
    if path.suffix.lower() not in FILE_SUFFIXES:
        raise DataError(f"{path}: is not a feature file; expected one of {', '.join(FILE_SUFFIXES)}")
    arrays = Arrays(path)
    wanted = array if path.suffix.lower() != ".npy" else None  # an npy has one array, without a name
    values = np.array(arrays[arrays.require(wanted, EMBEDDING_NAMES, option="--array")])
    about = _read_about(path)
    if about is not None:
        return _told_by(values, about)
    side = _side_name(path)
    if side and Path(f"{side}{TIMES}").exists():
        return RawFrames(values, timestamps=_numbers(Path(f"{side}{TIMES}")) / 1000)
    if side and Path(f"{side}{RATE}").exists():
        rate = next(iter(_numbers(Path(f"{side}{RATE}")).tolist()), math.nan)
        if not 0 < rate < math.inf:
            raise DataError(f"{side}{RATE}: holds {rate}, expected frames a second")
        return RawFrames(values, timestamps=np.arange(len(values) if values.ndim > 1 else 1) / rate)
    return RawFrames(values)


def _numbers(path: Path) -> np.ndarray:
    """The numbers in an npy (N,), whatever its shape."""
    values = read_npy(path)
    if values.dtype.kind not in "fiu":
        raise DataError(f"{path}: holds values of {values.dtype}, expected numbers")
    return values.reshape(-1).astype(np.float64)


def _read_member(video: Video) -> RawFrames:
    values, about = read_tarred(video.path)
    return RawFrames(values) if about is None else _told_by(values, about)


def _told_by(values: np.ndarray, about: Fields) -> RawFrames:
    """The rows of an array with what was written about each beside it."""
    of_rows = {name: np.array(about.wholes(name)) for name in ("indices", "views", "clips") if name in about}
    if "timestamps" in about:
        of_rows["timestamps"] = np.array(about.numbers("timestamps"))
    if OF_WINDOWS[0] in about:
        first, last = (np.array(about.numbers(name)) for name in OF_WINDOWS)
        if first.shape != last.shape:
            raise about.refuse(OF_WINDOWS[1], f"{counted(len(first), 'number')}, as {OF_WINDOWS[0]} has")
        of_rows["windows"] = np.stack([first, last], axis=1)
    return RawFrames(values, **of_rows)


def _side_name(path: Path) -> Path | None:
    """The path of NAME where NAME_fps.npy or NAME_timestamps_ms.npy lies beside NAME.npy or NAME_clip.npy."""
    for name in (path.stem, path.stem.rpartition("_")[0]):
        if name and any(path.with_name(f"{name}{end}").exists() for end in (TIMES, RATE)):
            return path.with_name(name)
    return None


def _read_about(path: Path) -> Fields | None:
    """What an export wrote beside the array; another program's JSON is not read."""
    beside = path.with_name(f"{path.stem}.json")
    if not beside.is_file():
        return None
    try:
        content = beside.read_bytes()
    except OSError as error:
        raise DataError(f"{beside}: cannot be read: {error.strerror or error}") from error
    return parse_about(content, where=beside)


def _folder(folder: Path, names: Names) -> Source:
    found = walk_folder(folder)
    paths = found.files
    if any(path.name == "manifest.csv" for path in paths) and shard_paths(folder):
        raise DataError(f"{folder}: is a store already; expected features that another program wrote")
    if own := next((path.name for path in paths if path.parent == folder and path.name in OTHERS), ""):
        raise DataError(f"{folder}: holds {own}, so it is a run or an index; expected features of videos")
    features = [path for path in paths if path.suffix.lower() in FILE_SUFFIXES and not _is_side(path)]
    tables = [path for path in paths if path.suffix.lower() == ".parquet"]
    if tables and not features:
        raise DataError(f"{folder}: holds {counted(len(tables), 'parquet file')}; expected one of them: {tables[0]}")
    tars = [path for path in paths if is_tar(path)]
    if tars and features:
        raise DataError(f"{folder}: holds the feature file {features[0]} and the tar {tars[0]}; expected one kind")
    not_taken = Counter({reason: len(left) for reason, left in found.not_taken.items()})
    if tars:
        known = {*tars, folder / SPEC_FILE, folder / NAMES_FILE}
        not_taken.update(suffix_reason(path.name) for path in paths if path not in known)
        spec = _read_spec(folder / SPEC_FILE)
        return Source(Manifest(arrays_in_tars(tars)), _read_member, spec, not_taken=not_taken)
    if not features:
        not_taken.update(suffix_reason(path.name) for path in paths)
        there = f"; {told(not_taken)}" if not_taken else ""
        expected = f"one of {', '.join(FILE_SUFFIXES)} for each video, or tars of .npy"
        raise DataError(f"{folder}: holds no feature file; expected {expected}{there}")
    told_by = {path: about for path in features if (about := _read_about(path)) is not None}
    untold = [path for path in features if path not in told_by]
    places = splits_and_labels([path.relative_to(folder).parts[:-1] for path in untold], where=folder)
    ids = ids_of_files([_named(path).relative_to(folder) for path in untold])
    videos = [told_video(about, path.absolute()) for path, about in told_by.items()]
    videos += [
        Video(video_id, path.absolute(), label, split)
        for video_id, path, (split, label) in zip(ids, untold, places, strict=True)
    ]
    stems = {path.with_suffix("") for path in features}
    captions = [path for path in paths if path.suffix == ".txt" and path.with_suffix("") in stems]
    note = f"not kept: {counted(len(captions), 'caption')} (.txt) beside the features; a store has labels"
    known = {*features, *captions, folder / SPEC_FILE, folder / NAMES_FILE}
    for path in paths:
        beside = path.suffix == ".json" and path.with_suffix("") in stems
        if path not in known and not beside and not _is_side(path):
            not_taken[suffix_reason(path.name)] += 1
    return Source(
        Manifest(tuple(videos)),
        _file_reader(names),
        _read_spec(folder / SPEC_FILE),
        (note,) if captions else (),
        not_taken,
    )


def _is_side(path: Path) -> bool:
    return path.name.endswith((TIMES, RATE)) and _read_about(path) is None


def _named(path: Path) -> Path:
    """A file, or the one that NAME_clip.npy stands for: NAME.npy."""
    side = _side_name(path)
    return path.with_name(f"{side.name}{path.suffix}") if side else path


def _read_spec(path: Path) -> FeatureSpec | None:
    if not path.is_file():
        return None
    return FeatureSpec.from_dict(Fields.of(read_json(path), where=path).fields("spec").values, where=path)
