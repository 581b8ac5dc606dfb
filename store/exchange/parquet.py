"""Parquet: one row for each video, its embedding a list. The only door to pyarrow, from the extra `exchange`."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import listed
from framebank.store.errors import DataError, parsing
from framebank.store.exchange.arrays import EMBEDDING_NAMES, ID_NAMES, LABEL_NAMES
from framebank.store.exchange.source import OF_WINDOWS, Columns, Names, RawFrames, Source
from framebank.store.files.replacing import replacing
from framebank.store.formats.archive import MAX_RATIO, SMALL
from framebank.store.formats.document import parse_json
from framebank.store.lazy import require
from framebank.store.shard import Embeddings
from framebank.store.spec import FeatureSpec
from framebank.store.videos.split_names import usual_splits
from framebank.store.videos.video import Video

WHAT = "a parquet file"
SPEC_KEY = b"framebank.spec"
OF_ROWS = {"timestamps": "timestamp", "indices": "frame_index", "views": "view", "clips": "clip"}
EXTRA = "extra:"  # before the name of a column of the user
ROW_GROUP = 64  # videos that are in memory together

# video_id -> the values of its rows, (R, D) or (R, ...), and the embeddings that tell of each row when it is
ReadRows = Callable[[str], tuple[np.ndarray, Embeddings]]


def load_pyarrow() -> Any:
    """Return the modules pyarrow and pyarrow.parquet; DataError where they are not installed."""
    files = require("pyarrow.parquet", extra="exchange", what="parquet")
    return require("pyarrow", extra="exchange", what="parquet"), files


def parquet_source(path: Path, names: Names) -> Source:
    """Return the videos of a parquet file, read a row group at a time; DataError if a column is missing."""
    file = _open(path)
    there = file.schema_arrow.names
    column = _find(path, there, names.array, EMBEDDING_NAMES)
    if column is None:
        raise DataError(f"{path}: has the columns {listed(there)}; choose the embeddings with --array")
    _require_numbers(path, file.schema_arrow, column)
    lists = {ours: name for ours, name in OF_ROWS.items() if name in there}
    for name in lists.values():
        _require_numbers(path, file.schema_arrow, name)
    windows = [name for name in OF_WINDOWS if set(OF_WINDOWS) <= set(there)]
    extra = {name.removeprefix(EXTRA): _strings(path, file, name) for name in there if name.startswith(EXTRA)}
    ids, labels, splits, groups = (
        _strings(path, file, _find(path, there, wanted, usual))
        for wanted, usual in (
            (names.ids, ID_NAMES),
            (names.label, LABEL_NAMES),
            (names.split, ("split",)),
            (None, ("group",)),
        )
    )
    read_as = usual_splits(splits, where=path)
    said = Columns(ids, labels, [read_as[split] for split in splits], groups, extra)
    if not file.metadata.num_rows:
        raise DataError(f"{path}: holds no rows; expected one for each video")
    manifest = said.manifest(path, file.metadata.num_rows)
    place = {
        video.video_id: where for video, where in zip(manifest.videos, _places(file.metadata), strict=True)
    }  # video_id -> row group, row in it
    read_group = functools.lru_cache(maxsize=1)(
        functools.partial(file.read_row_group, columns=[column, *lists.values(), *windows])
    )

    def read(video: Video) -> RawFrames:
        group, row = place[video.video_id]
        with parsing(path, what=WHAT):
            table = read_group(group)
            given = {ours: table[name][row].values.to_numpy(zero_copy_only=False) for ours, name in lists.items()}
            if windows:
                ends = [table[name][row].values.to_numpy(zero_copy_only=False) for name in windows]
                given["windows"] = np.stack(ends, axis=1)
            return RawFrames(_frames(table[column][row]), **given)

    return Source(manifest, read, _spec_of(file.schema_arrow.metadata or {}, path))


def read_parquet_rows(
    path: Path, *, array: str | None, names: str | None, usual: tuple[str, ...]
) -> tuple[list[np.ndarray], list[str]]:
    """Return the embedding (D,) and the name of each row of a parquet file; DataError if a column is missing."""
    file = _open(path)
    there = file.schema_arrow.names
    embedding, column = _find(path, there, array, EMBEDDING_NAMES), _find(path, there, names, usual)
    if embedding is None or column is None:
        raise DataError(f"{path}: has the columns {listed(there)}; choose with --array and --names")
    _require_numbers(path, file.schema_arrow, embedding)
    with parsing(path, what=WHAT):
        cells = file.read(columns=[embedding])[embedding]
        rows = [_frames(cell).reshape(-1) for cell in cells]
    return rows, _strings(path, file, column)


def _open(path: Path) -> Any:
    """Return a parquet file that claims no more than a file of its size can hold; DataError for another."""
    _, files = load_pyarrow()
    with parsing(path, what=WHAT):
        size = path.stat().st_size
        file = files.ParquetFile(path)
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        _ = file.schema_arrow.names
        rows, whole = file.metadata.num_rows, sum(group.total_byte_size for group in groups)
        fits = 0 <= rows <= size and all(0 <= group.num_rows <= rows for group in groups)
        if not fits or sum(group.num_rows for group in groups) != rows or (whole > SMALL and whole > MAX_RATIO * size):
            raise DataError(f"{path}: claims {rows} rows of {whole} bytes in a file of {size}; it is damaged")
    return file


def _require_numbers(path: Path, schema: Any, column: str) -> None:
    """Refuse a column that holds no list of numbers, nor a list of such lists, in each row, and a name of two
    columns: DataError.
    """
    types = load_pyarrow()[0].types
    places = schema.get_all_field_indices(column)
    if len(places) != 1:
        raise DataError(f"{path}: has {len(places)} columns with the name {column!r}; expected one")
    inner = given = schema.field(places[0]).type
    for _ in range(2):
        if types.is_list(inner) or types.is_large_list(inner) or types.is_fixed_size_list(inner):
            inner = inner.value_type
    if inner is given or not (types.is_floating(inner) or types.is_integer(inner)):
        raise DataError(f"{path}: its column {column!r} has the type {given}; expected a list of numbers in each row")


def _find(path: Path, there: list[str], wanted: str | None, usual: tuple[str, ...]) -> str | None:
    if wanted is not None and wanted not in there:
        raise DataError(f"{path}: has no column {wanted!r}; it has {listed(there)}")
    return wanted if wanted is not None else next((name for name in usual if name in there), None)


def _strings(path: Path, file: Any, column: str | None) -> list[str]:
    if not column:
        return []
    with parsing(path, what=WHAT):
        return ["" if value is None else str(value) for value in file.read(columns=[column])[column].to_pylist()]


def _places(metadata: Any) -> Iterator[tuple[int, int]]:
    for group in range(metadata.num_row_groups):
        yield from ((group, row) for row in range(metadata.row_group(group).num_rows))


def _frames(cell: Any) -> np.ndarray:
    """Return a list of numbers as (D,), a list of lists as (T, D); DataError if the lists differ in length."""
    values = cell.values
    if values is None:
        raise DataError("has no embedding in its row")
    if not hasattr(values, "flatten") or not hasattr(values.type, "value_type"):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    lengths = {len(frame) for frame in values} if len(values) else set()
    if len(lengths) != 1:
        raise DataError(f"has frames of {len(lengths)} different widths" if lengths else "has no frames in its row")
    return np.asarray(values.flatten().to_numpy(zero_copy_only=False)).reshape(len(values), -1)  # (T, D)


def _spec_of(metadata: dict[bytes, bytes], path: Path) -> FeatureSpec | None:
    if SPEC_KEY not in metadata:
        return None
    where = f"{path}: its {SPEC_KEY.decode()}"
    return FeatureSpec.from_dict(parse_json(metadata[SPEC_KEY], where=where), where=where)


def write_parquet(read: ReadRows, videos: list[Video], path: Path, *, spec: FeatureSpec) -> Iterator[Video]:
    """Write videos as one parquet file, completely or not at all, and yield each when it is written.

    Columns: video_id, label, split and group (strings), and extra:NAME for each column of the user; frame_index, view
    and clip (lists of T int64), timestamp (T doubles, seconds), and if a row is a clip, window_start and window_end;
    embedding, a list of T lists of D float32 (every float16 is one; few readers know 16 bits), rows of more than one
    axis flattened. The schema's metadata holds the spec as JSON under `framebank.spec`.
    """
    pyarrow, files = load_pyarrow()
    own = sorted({name for video in videos for name, _ in video.extra})
    windows = OF_WINDOWS if read(videos[0].video_id)[1].windows is not None else ()
    schema = pyarrow.schema(
        [
            *((name, pyarrow.string()) for name in ("video_id", "label", "split", "group")),
            *((f"{EXTRA}{name}", pyarrow.string()) for name in own),
            *((name, pyarrow.list_(pyarrow.int64())) for name in ("frame_index", "view", "clip")),
            *((name, pyarrow.list_(pyarrow.float64())) for name in ("timestamp", *windows)),
            ("embedding", pyarrow.list_(pyarrow.list_(pyarrow.float32()))),
        ],
        metadata={SPEC_KEY: json.dumps(spec.to_dict()).encode()},
    )
    # An open file: pyarrow takes a path with a colon for an address elsewhere.
    with replacing(path) as part, part.open("wb") as file, files.ParquetWriter(file, schema) as writer:
        for start in range(0, len(videos), ROW_GROUP):
            chosen = videos[start : start + ROW_GROUP]
            writer.write_table(_table(pyarrow, schema, read, chosen))
            yield from chosen


def _table(pyarrow: Any, schema: Any, read: ReadRows, videos: list[Video]) -> Any:
    rows = [read(video.video_id) for video in videos]
    found = [embeddings for _, embeddings in rows]
    ends = np.cumsum([0, *(len(values) for values, _ in rows)]).astype(np.int32)

    def lists(values: np.ndarray) -> Any:
        return pyarrow.ListArray.from_arrays(ends, pyarrow.array(values))

    flat = [values.reshape(len(values), -1) for values, _ in rows]  # (T, D) each
    data = np.concatenate(flat).astype(np.float32)  # (R, D)
    starts = np.arange(0, data.size + 1, data.shape[1]).astype(np.int32)
    extra = [dict(video.extra) for video in videos]
    own = [name.removeprefix(EXTRA) for name in schema.names if name.startswith(EXTRA)]
    windows = [e.windows for e in found if e.windows is not None]
    columns = {
        "video_id": [video.video_id for video in videos],
        "label": [video.label for video in videos],
        "split": [video.split for video in videos],
        "group": [video.group for video in videos],
        **{f"{EXTRA}{name}": [cells.get(name, "") for cells in extra] for name in own},
        "frame_index": lists(np.concatenate([e.indices for e in found]).astype(np.int64)),
        "view": lists(np.concatenate([e.views for e in found]).astype(np.int64)),
        "clip": lists(np.concatenate([e.clips for e in found]).astype(np.int64)),
        "timestamp": lists(np.concatenate([e.timestamps for e in found]).astype(np.float64)),
        **dict(zip(OF_WINDOWS, map(lists, np.concatenate(windows).T), strict=True) if windows else ()),
        "embedding": pyarrow.ListArray.from_arrays(
            ends, pyarrow.ListArray.from_arrays(starts, pyarrow.array(data.reshape(-1)))
        ),
    }
    return pyarrow.table(columns, schema=schema)
