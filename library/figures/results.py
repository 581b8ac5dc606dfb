"""Results: the figures of protocols, as a table for a terminal, a page, a paper or a spreadsheet."""

import csv
import fnmatch
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.library.checks import require_among, typed
from framebank.library.figures.intervals import between, interval_of
from framebank.library.table import html_table, printable, table
from framebank.store.counts import counted
from framebank.store.errors import DataError

FORMATS = ("text", "markdown", "latex", "csv")
COLUMNS = ("protocol", "hash", "store", "encoder", "by", "top-1", "95 %", "top-5", "videos", "time")
KEYS = ("protocol", "hash", "encoder", "by", "recipe", "run", "store", "time")
ESCAPES = {"\\": r"\textbackslash{}", **{mark: f"\\{mark}" for mark in "&%$#_{}"}, "~": r"\textasciitilde{}"}


@typed
@dataclass(frozen=True, repr=False)
class Results:
    """The lines of a file of results, the oldest first, as `framebank eval` wrote them.

    `none` says why there is no line, where there is none.
    """

    values: tuple[Mapping[str, Any], ...]
    none: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {"results": [dict(line) for line in self.values]}

    def text(self, form: str = "text") -> str:
        """Return the table in one of FORMATS. DataError for another format."""
        require_among("format", form, FORMATS)
        rows = [[printable(cell) for cell in _cells(line)] for line in self.values]
        if form == "csv":
            file = io.StringIO()
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
            return file.getvalue().rstrip("\n")
        if form == "markdown":
            marked = [[cell.replace("|", "\\|") for cell in row] for row in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
            return "\n".join(f"| {' | '.join(row)} |" for row in marked)
        if form == "latex":
            lines = [f"{' & '.join(map(_latex, row))} \\\\" for row in (COLUMNS, *rows)]
            body = [lines[0], "\\hline", *lines[1:]]
            return "\n".join([f"\\begin{{tabular}}{{{'l' * len(COLUMNS)}}}", *body, "\\end{tabular}"])
        return "\n".join(table(COLUMNS, rows)) if rows or not self.none else self.none

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        below = [self.none] if self.none else []
        return html_table(COLUMNS, [_cells(line) for line in self.values], below=below)


@typed
def results(path: str | Path = "results.jsonl", where: Mapping[str, str] | None = None) -> Results:
    """Return the results in a file that `evaluate_protocol` wrote, filtered by `where`.

    `where` holds patterns for some of KEYS: {"protocol": "ucf101*"}. DataError if the file or a line is not a result.

    >>> import framebank as fb
    >>> print(fb.results("results.jsonl", where={"protocol": "ucf101"}).text("markdown"))      # doctest: +SKIP
    """
    from framebank.heads.evaluation.ledger import read_results

    for key in where or {}:
        if key not in KEYS:
            raise DataError(f"results have no key {key!r}; expected one of {', '.join(KEYS)}")
    found = read_results(Path(path))
    fitting = [line for line in found if all(_fits(line, key, pattern) for key, pattern in (where or {}).items())]
    asked = " and ".join(f"{key}={pattern}" for key, pattern in (where or {}).items())
    none = f"{path}: none of its {counted(len(found), 'result')} fits {asked}" if found else f"{path}: holds no result"
    return Results(tuple({**line, "by": _made_by(line)} for line in fitting), "" if fitting else none)


def _fits(line: Mapping[str, Any], key: str, pattern: str) -> bool:
    protocol = {"protocol": line["protocol"].get("name"), "hash": line["protocol"].get("hash"), "by": _made_by(line)}
    return fnmatch.fnmatchcase(str({**line, **protocol}.get(key) or ""), pattern)


def _made_by(line: Mapping[str, Any]) -> str:
    """What gave the figures, as the column "by" has it: the recipe, the run whose head pooled, or the texts."""
    return str(line.get("recipe") or line.get("run") or "texts")


def _cells(line: Mapping[str, Any]) -> Sequence[str]:
    several = f" +- {100 * line['deviation']:.1f}" if line["deviation"] else ""
    figure = f"{100 * line['top1']:.1f} %" if "top1" in line else f"{100 * line['map']:.1f} % mAP"
    return (
        str(line["protocol"]["name"]),
        str(line["protocol"]["hash"]),
        Path(str(line["store"])).name,
        str(line["encoder"]),
        _made_by(line),
        f"{figure}{several}",
        between(interval_of(line)),
        f"{100 * line['top5']:.1f} %" if "top5" in line else "",
        f"{line['videos_evaluated']} of {line['videos_listed']}",
        str(line["time"]),
    )


def _latex(cell: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in cell).replace("+-", r"$\pm$")
