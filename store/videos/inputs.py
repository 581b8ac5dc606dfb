"""Inputs: the videos in what a user names: a folder, a CSV, video files or tars."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.walk import HIDDEN, LITTER_NAMES, walk_folder
from framebank.store.formats.table import Row, Table, read_table
from framebank.store.videos.folders import videos_in_folder
from framebank.store.videos.intake import Intake, by_reason
from framebank.store.videos.spelling import ids_of_files, nfc
from framebank.store.videos.tars import is_tar, read_tars
from framebank.store.videos.video import VIDEO_SUFFIXES, Video
from framebank.store.videos.videos_csv import COLUMNS, note_columns_like_ours, videos_of, with_usual_splits

CSV_SUFFIXES = (".csv", ".tsv")
LIST_SUFFIXES = (".txt", ".json")
KINETICS = ("youtube_id", "time_start", "time_end")
NO_FILE_OF_ROW = "row without its file"


def read_videos(sources: Sequence[Path], *, is_video: Callable[[Path], bool] | None = None) -> Intake:
    """Read one folder (of videos, of folders of frames, or of tars), one CSV, video files, or tars.

    With `is_video`, files of a folder or tar whose suffix is not known are videos where it says so. Files that are
    named one by one are taken with any suffix. DataError that says what was expected.
    """
    if not sources:
        raise DataError("no videos given; expected a folder, a manifest CSV, video files or tars")
    stray = next((source for source in sources if source.suffix.lower() in LIST_SUFFIXES), None)
    if stray:  # also the files that a shell makes from a pattern after --split-file
        raise DataError(f"{stray}: is not a video; give a list with --split-file, several lists as a pattern in quotes")
    for source in sources:
        if not source.exists():
            raise DataError(f"{source}: no such file or folder; expected a folder, a manifest CSV or video files")
    if len(sources) == 1 and sources[0].is_dir():
        return videos_in_folder(sources[0], is_video=is_video)
    if len(sources) == 1 and sources[0].suffix.lower() in CSV_SUFFIXES:
        return _videos_in_csv(sources[0])
    tars = [source for source in sources if is_tar(source) and source.is_file()]
    for source in sources:
        if source.is_dir() or source.suffix.lower() in CSV_SUFFIXES or (source not in tars and tars):
            raise DataError(
                f"{source}: given with other sources; expected one folder, one CSV, only video files or only tars"
            )
        if not source.is_file():
            raise DataError(f"{source}: is not a regular file; expected a video file")
    return read_tars(tars, is_video=is_video) if tars else _files(sources)


def _files(paths: Sequence[Path]) -> Intake:
    """The files that a user named; a pattern of the shell may include files of file managers."""
    litter = [path for path in paths if path.name.startswith("._") or path.name.lower() in LITTER_NAMES]
    kept = [path for path in paths if path not in litter]
    if not kept:
        raise DataError(f"{litter[0]}: is a file of a file manager, not a video; expected video files")
    ids = ids_of_files([PurePath(path.name) for path in kept])
    videos = tuple(Video(video_id, path) for video_id, path in zip(ids, kept, strict=True))
    return Intake(videos, by_reason((HIDDEN, path) for path in litter))


def _videos_in_csv(path: Path) -> Intake:
    table = read_table(path, wanted=COLUMNS[:2])
    if set(COLUMNS[:2]) <= set(table.columns):
        note_columns_like_ours(table)
        return Intake(with_usual_splits(videos_of(table), where=path))
    if not set(KINETICS) <= set(table.columns):
        table = read_table(path, wanted=KINETICS)
    if set(KINETICS) <= set(table.columns) and "path" not in table.columns:
        return _kinetics(table)
    return Intake(videos_of(read_table(path, wanted=COLUMNS[:2])))


def _kinetics(table: Table) -> Intake:
    """The videos of a list with Kinetics' own columns, whose files lie below the folder of the list.

    A file ID_000012_000022.mp4 is the clip itself; a file ID.mp4 is the whole video, and the clip is a part of it.
    """
    table.require_full_rows()
    if not table.rows:
        raise DataError(f"{table.path}: lists no video")
    by_stem: dict[str, list[Path]] = {}
    for file in walk_folder(table.path.parent).files:
        if file.suffix.lower() in VIDEO_SUFFIXES:
            by_stem.setdefault(file.stem, []).append(file)
    videos, missing = [], []
    for row in table.rows:
        youtube_id, start, end = _clip(table, row)
        name = f"{youtube_id}_{int(start):06d}_{int(end):06d}"
        found = by_stem.get(name) or by_stem.get(youtube_id, [])
        if len(found) > 1:
            raise DataError(f"{table.where(row)}: {name!r} may be {found[0]} or {found[1]}; expected one of them")
        if not found:
            missing.append(table.path.parent / f"{name}.mp4")
            continue
        part = () if found[0].stem == name else (start, end)
        videos.append(
            Video(name, found[0].absolute(), nfc(row.cells.get("label", "")), row.cells.get("split", ""), *part)
        )
    if not videos:
        raise DataError(
            f"{table.path}: no file of its {counted(len(table.rows), 'row')} is below {table.path.parent}; expected "
            f"files such as {missing[0].name} there, or the folder of videos with this list as --split-file"
        )
    return Intake(with_usual_splits(videos, where=table.path), {NO_FILE_OF_ROW: tuple(missing)} if missing else {})


def _clip(table: Table, row: Row) -> tuple[str, float, float]:
    start, end = table.seconds(row, "time_start"), table.seconds(row, "time_end")
    youtube_id = nfc(row.cells["youtube_id"].strip())
    if not youtube_id or start is None or end is None:
        raise DataError(f"{table.where(row)}: its {', '.join(KINETICS)} are not all there")
    return youtube_id, start, end
