"""The facts of an index: its videos, those left out with the reason, and what pooled them."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.store.indexes.index import Index
    from framebank.store.indexes.origin import Difference
    from framebank.store.indexes.tuning import Measured, Target

HALF_BYTES = 2  # of a value of float16


def index_facts(path: Path, index: "Index") -> dict[str, Any]:
    """Return the facts of an index as plain values."""
    left_out = _left_out(index)
    return {
        "index": str(path),
        "videos": index.num_own,
        "listed": index.num_own + len(left_out),
        "left_out": left_out,
        "made_by": index.made_by,
        "level": index.searched.level,
        "type": index.searched.type,
        "rows": str(index.searched.rows.vectors.dtype) if index.searched.rows else None,
        "measured": index.searched.measured.to_dict() if index.searched.measured else None,
    }


def index_lines(path: Path, index: "Index") -> list[str]:
    """Return how many videos are in an index, and one line for each reason why some are left out."""
    left_out = _left_out(index)
    of_all = counted(index.num_own + len(left_out), "video")
    lines = [f"{index.num_own} of {of_all}, pooled by {index.made_by['head']} -> {path}"]
    for reason in dict.fromkeys(left_out.values()):
        names = [video_id for video_id, why in left_out.items() if why == reason]
        shown = listed(names, most=3)
        lines.append(f"left out: {counted(len(names), 'video')} whose embedding is {reason}: {shown}")
    return [*lines, *_measured(index)]


def _measured(index: "Index") -> list[str]:
    """Return how the index is searched and what was measured, if it is more than the exact search of whole videos.

    What was asked for and is not reached is told of each index.
    """
    searched, told = index.searched, index.searched.measured
    if told is None:
        return []
    if searched.is_plain:
        return _missed(searched.asked, told)
    rows = counted(told.rows, "row" if searched.level == "frame" else searched.level)
    half = searched.rows is not None and searched.rows.vectors.itemsize == HALF_BYTES
    what = f"{rows}{' as float16' * half}, type {searched.type}, {_size(told.bytes)}"
    if searched.near is None:
        return [f"{what}: 95 of 100 queries take at most {_clock(told.p95)}", *_missed(searched.asked, told)]
    return [
        f"{what}: finds {100 * told.recall:.1f} % of the 10 true neighbours; 95 of 100 queries take at most "
        f"{_clock(told.p95)}, exact ones {_clock(told.exact_p95)}",
        *_missed(searched.asked, told),
    ]


def _missed(asked: "Target", told: "Measured") -> list[str]:
    """Return one line for the recall and one for the time that were asked for and are not reached."""
    lines = []
    if told.recall < asked.recall:
        lines.append(f"less than {100 * asked.recall:g} % (--recall): no setting of the type {told.type} finds more")
    if asked.type == "auto" and told.p95 > asked.budget:
        lines.append(f"slower than {1000 * asked.budget:g} ms (--budget)")
    return lines


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:,.1f} kB"


def _clock(seconds: float) -> str:
    """Return a time in milliseconds; less than a tenth of one is told with two digits, and not as 0."""
    return f"{1000 * seconds:.1f} ms" if seconds >= 1e-4 else f"{1000 * seconds:.2g} ms"


def _left_out(index: "Index") -> dict[str, str]:
    return dict(index.origin.left_out) if index.origin else {}


def warn_if_older(path: Path, index: "Index") -> "Difference | None":
    """Warn if the store of an index differs from it, and return how. None if the store is not found.

    None too if the store is there and cannot be read, with a warning: nobody knows then what changed.
    """
    difference = index.compare()
    if difference:
        mend = f"`framebank index {quote(str(difference.store))} {quote(str(path))} --update`"
        warn(f"{path}: is older than its store: {difference} since; {mend} mends that")
    elif difference is None and (fault := _fault_of(index)):
        warn(f"{path}: whether its store has changed since is not known: {fault}")
    return difference


def _fault_of(index: "Index") -> str:
    """Return why the store of an index cannot be read, or "" if it is not at its place."""
    from framebank.store.features import FeatureStore
    from framebank.store.files.replacing import current
    from framebank.store.indexes.origin import marks_of

    place = index.origin.store if index.origin else Path(index.made_by.get("store") or "/no store")
    try:
        if not current(place, "manifest.csv").is_file():
            return ""
        store = FeatureStore(place)
        _ = store.manifest, marks_of(store)
    except (DataError, OSError) as error:
        return str(error)
    return f"{place / 'manifest.csv'}: is not the list of a store; expected one that framebank wrote"
