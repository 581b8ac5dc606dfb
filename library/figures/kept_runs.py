"""KeptRuns: the folder of the runs that a protocol trains, there as a whole or not at all."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError, warn
from framebank.store.files.place import making, new_folder
from framebank.store.files.replacing import write_text
from framebank.store.files.scratch import scratch_folder

LINE = "results.jsonl"  # in the folder: the line of the results


@dataclass(frozen=True)
class KeptRuns:
    """The folder `part` that runs are written into, which becomes `path` in the end, or is removed."""

    path: Path
    part: Path

    @classmethod
    @contextlib.contextmanager
    def making(cls, folder: str | Path | None, *, results: str | Path | None) -> Iterator["KeptRuns"]:
        """Yield the folder for some runs: a new one, or a temporary one if `folder` is None.

        DataError if it exists. If a command was killed after it had made the folder and before it had added its line
        to `results`, the line is added first.
        """
        if folder is None:
            with scratch_folder() as scratch:
                yield cls(scratch, scratch)
            return
        path = Path(folder)
        if results:
            _finish(path, Path(results))
        with making(path, what="runs"), new_folder(path) as part:
            yield cls(path, part)

    def keep(self, line: dict[str, Any]) -> dict[str, Any]:
        """Keep the line of the results beside the runs, and return it."""
        from framebank.heads.evaluation.ledger import line_text

        write_text(self.part / LINE, line_text(line))
        return line


def require_outside(results: str | Path, folder: str | Path | None) -> None:
    """Raise DataError if the results are to be in the folder of the runs, which is to be new."""
    place = Path(results).absolute()
    if folder is not None and Path(folder).absolute() in (place, *place.parents):
        raise DataError(f"{results}: is in the folder of the runs, {folder}; expected another place for the results")


def add_line(path: Path, line: Mapping[str, Any]) -> str:
    """Add a line to the results; where they cannot be written, warn and return why: the figures are not lost."""
    from framebank.heads.evaluation.ledger import append_result

    try:
        append_result(path, line)
    except DataError as error:
        warn(f"the figures are not in the results: {error}")
        return str(error)
    return ""


def _finish(folder: Path, results: Path) -> None:
    """Add the line that is kept beside finished runs to the results, if they lack it."""
    from framebank.heads.evaluation.ledger import read_results

    if not (folder / LINE).is_file():
        return
    there = read_results(results) if results.exists() else []
    for line in read_results(folder / LINE):
        if line not in there and not add_line(results, line):
            warn(f"{folder}: is finished; its line, which {results} lacked, is added")
