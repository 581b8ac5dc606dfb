"""Files of spans: write and read CSV and JSON, and read the scene lists of PySceneDetect."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files.replacing import write_text
from framebank.store.formats.document import Fields, read_json
from framebank.store.formats.table import Row, Table, parse_table
from framebank.store.formats.text import read_text
from framebank.store.spans.span import Span

COLUMNS = ("video_id", "start", "end", "label", "score", "source")
NEEDED = ("start", "end")
SCENES = ("start_time_(seconds)", "end_time_(seconds)")  # the columns of PySceneDetect
CUTS = "Timecode List:"  # the first word of the line that PySceneDetect may write above its header
SUFFIXES = (".csv", ".json")


def write_spans(path: str | Path, spans: Iterable[Span]) -> None:
    """Write spans as CSV or JSON, by the suffix of the name, completely or not at all.

    Seconds are written with all their digits, so that reading returns the same values. DataError if the name has
    another suffix, or if the file cannot be written.
    """
    path = Path(path)
    require_suffix(path)
    write_text(path, spans_json(spans) if path.suffix.lower() == ".json" else spans_csv(spans))


def require_suffix(path: Path) -> None:
    """Raise DataError if the name ends in none of SUFFIXES."""
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{path}: does not have the name of a file of spans; expected one that ends in {' or '.join(SUFFIXES)}"
        )


def spans_csv(spans: Iterable[Span]) -> str:
    """Return spans as the text of a CSV, with the columns of COLUMNS."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for span in spans:
        score = "" if span.score is None else repr(float(span.score))
        writer.writerow((span.video_id, repr(float(span.start)), repr(float(span.end)), span.label, score, span.source))
    return text.getvalue()


def spans_json(spans: Iterable[Span]) -> str:
    """Return spans as a JSON text: an object whose `spans` are objects with the names of COLUMNS."""
    return json.dumps({"spans": [span.to_dict() for span in spans]}, indent=1) + "\n"


def read_spans(path: str | Path, *, video_id: str = "") -> tuple[Span, ...]:
    """Return the spans of a CSV or JSON file, in order.

    A CSV has the columns start and end, in seconds or as hh:mm:ss, and may have video_id, label, score and source. The
    output of PySceneDetect's `list-scenes` can be read too. `video_id` is the video of rows that name none, as in such
    a list. DataError, with the place in the file, if a value is wrong, or if a row has no video.
    """
    path = Path(path)
    require_suffix(path)
    if path.suffix.lower() == ".json":
        return _of_json(path, video_id)
    text = read_text(path)
    if text.lstrip("\ufeff").startswith(CUTS):
        text = "\n" + text.partition("\n")[2]  # an empty line keeps the line numbers right
    table = parse_table(path, text, wanted=NEEDED)
    names = SCENES if set(SCENES) <= set(table.columns) else NEEDED
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}; expected {', '.join(COLUMNS)}, or scenes of PySceneDetect")
    source = path.name if names is SCENES else ""
    return tuple(_of_row(table, row, names, video_id, source) for row in table.rows)


def _of_row(table: Table, row: Row, names: tuple[str, str], video_id: str, source: str) -> Span:
    where = table.where(row)
    start, end = (table.seconds(row, name) for name in names)
    name = row.cells.get("video_id", "") or video_id
    score = row.cells.get("score", "").strip()
    if start is None or end is None:
        raise DataError(f"{where}: has no start or no end; expected seconds, or a time as hh:mm:ss")
    if not name:
        raise DataError(f"{where}: names no video; expected a column video_id, or the video_id of all rows")
    try:
        sure = float(score.replace(",", ".") if table.decimal_comma else score) if score else None
    except ValueError as error:
        raise DataError(f"{where}: the score {score!r} is not a number") from error
    try:
        return Span(name, start, end, row.cells.get("label", ""), sure, row.cells.get("source", "") or source)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _of_json(path: Path, video_id: str) -> tuple[Span, ...]:
    given = Fields.of(read_json(path), where=path)
    spans = []
    for number, found in enumerate(given.list("spans"), 1):
        one = Fields.of(found, where=f"{path}, span {number}")
        name = one.text("video_id", default=video_id)
        if not name:
            raise one.refuse("video_id", "the video_id of a video")
        score = None if one.values.get("score") is None else one.number("score")
        times = one.number("start"), one.number("end")
        try:
            spans.append(Span(name, *times, one.text("label", default=""), score, one.text("source", default="")))
        except DataError as error:
            raise DataError(f"{path}, span {number}: {error}") from error
    return tuple(spans)
