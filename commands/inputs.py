"""Check that the inputs of a command exist and its outputs may be made, before anything heavy is loaded."""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from framebank.store.errors import DataError

STORE = "no such store; expected a folder made by `framebank extract`"
INDEX = "is not an index; expected a folder made by `framebank index`"
RUN = "no such run; expected a folder made by `framebank train`"
MATCHER = "no such run; expected a folder made by `framebank fewshot-train`"
LABELS = "no such labels file"
PROMPTS = "no such file; expected one made by `framebank prompts`"
BANK = "no such label bank; expected a file made by `framebank labels build` or `framebank prompts`"
VIDEO = "no such file; expected a video"
LIST = "no such split file"

# What the path in an option of this name must be, in every command.
SHARED = {
    "labels": LABELS,
    "only_labels": LABELS,
    "prompts": PROMPTS,
    "lexicon": PROMPTS,
    "like": STORE,
    "index_path": INDEX,
    "run_path": RUN,
    "support_list": LIST,
    "split_files": LIST,
    "class_splits": "no such file or folder; expected lists of a class split",
    "source": "no such file; expected class embeddings: npz, HDF5 or parquet",
}

# What else each command reads.
OWN: dict[str, dict[str, str]] = {
    "extract": {},  # the reader of its videos reports what is wrong with them
    "prompts": {},
    "zeroshot": {"store": STORE},
    "train": {"store": STORE},
    "adapt": {"store": STORE},
    "evaluate": {"run": RUN, "store": STORE},
    "compare": {"store": STORE},
    "compare-runs": {"runs": RUN},
    "eval": {"store": STORE, "lists": "no such folder; expected the folder of the official lists"},
    "results": {"file": "no such results; expected a file that `framebank eval` writes"},
    "report": {"what": "no such run or store; expected evaluated runs, or a store"},
    "temperature": {"run": RUN, "store": STORE},
    "thresholds": {"run": RUN, "store": STORE},
    "fewshot": {"store": STORE, "run_path": MATCHER},
    "fewshot-compare": {"store": STORE},
    "fewshot-train": {"store": STORE},
    "index": {"store": STORE},
    "index-merge": {"indexes": INDEX},
    "index-push": {"index": INDEX},
    "search": {"index": INDEX, "videos": VIDEO, "images": "no such file; expected a picture", "store": STORE},
    "evaluate-search": {
        "index": INDEX,
        "queries": "no such file; expected a CSV of text and video_id",
        "store": STORE,
    },
    "shots": {"store": STORE},
    "duplicates": {"store": STORE, "other": STORE},
    "suspects": {"store": STORE},
    "predict": {
        "videos": "no such file or folder; expected a store, a folder, a manifest CSV or video files",
        "run": RUN,
        "index": INDEX,
    },
    "label": {"run": RUN, "index": INDEX},  # a missing video is reported beside the answers for the others
    "build": {},  # the reader of its lists reports what is wrong with them
    "label-store": {"store": STORE, "bank": BANK, "index": INDEX, "run": RUN},
    "enroll": {"index": INDEX, "videos": VIDEO},
    "unenroll": {"index": INDEX},
    "calibrate": {"index": INDEX, "store": STORE},
    "info": {"store": STORE},
    "show": {"store": STORE},
    "verify": {"store": STORE, "path": "no such file or folder; expected a store, an index, a run or prompts"},
    "repair": {"store": STORE},
    "merge": {"stores": STORE},
    "split": {"store": STORE, "videos": "no such file; expected video_ids, one a line"},
    "rm": {"store": STORE},
    "relabel": {"store": STORE, "file": "no such file; expected a CSV of video_id and label"},
    "hold-out": {"store": STORE},
    "status": {"store": STORE, "videos": "no such file or folder; expected a folder, a manifest CSV or video files"},
    "import": {"src": "no such file or folder; expected a folder of features, or a file of them"},
    "export": {"store": STORE, "spans": "no such file; expected a file of spans, CSV or JSON"},
    "export-head": {"run": RUN},
    "import-checkpoint": {"checkpoint": "no such file; expected a checkpoint of ActionCLIP"},
}

# What commands make: a new file or folder. None of them may lie inside a store, a run or an index.
MADE: dict[str, tuple[str, ...]] = {
    "extract": ("store",),
    "prompts": ("out",),
    "train": ("run",),
    "adapt": ("out",),
    "compare": ("out",),
    "eval": ("results_path", "runs"),
    "report": ("out",),
    "fewshot-compare": ("out",),
    "fewshot-train": ("run",),
    "index": ("index",),
    "index-merge": ("out",),
    "search": ("export_clips", "sheet", "preview"),
    "shots": ("csv_path",),
    "suspects": ("csv_path",),
    "predict": ("csv_path",),
    "build": ("bank",),
    "label-store": ("out",),
    "merge": ("out",),
    "split": ("out",),
    "import": ("store",),
    "export": ("out",),
    "export-head": ("file",),
    "import-checkpoint": ("run",),
    "demo": ("out",),
}
# Those that are files: whether one can be written is asked before the work that it holds. Each folder is held at once,
# and the file of `eval`, to which a line is added, is asked by its ledger.
FILES = {
    "prompts": ("out",),
    "report": ("out",),
    "search": ("sheet",),
    "shots": ("csv_path",),
    "suspects": ("csv_path",),
    "predict": ("csv_path",),
    "build": ("bank",),
    "label-store": ("out",),
    "export-head": ("file",),
}
ALSO_IN_RUNS = ("report", "export-head")  # of a run, which may keep its page and its head
FOLDERS = ("export_clips", "preview", "runs")  # that files are put into, beside what is there


def require_outputs(command: str, given: Mapping[str, Any]) -> None:
    """Refuse to make something inside a store, a run or an index, or a file over one that is read: DataError.

    A file that could not be written at the end is refused too.
    """
    from framebank.store.files.kinds import refuse_inside_own, refuse_own_file
    from framebank.store.files.place import require_place

    for name in MADE.get(command, ()):
        path = given.get(name)
        if isinstance(path, Path) and not (command in ALSO_IN_RUNS and _is_in_run(path, given)):
            refuse_inside_own(path, itself=name in FOLDERS or command == "demo")
        if isinstance(path, Path) and name in FILES.get(command, ()):
            refuse_own_file(path)
            require_place(path)
        if isinstance(path, Path) and _is_file(path):
            others = [one for other, value in given.items() if other != name for one in _paths_in(value)]
            if any(_is_file(one) and path.samefile(one) for one in others):
                raise DataError(f"{path}: is read by this command; expected another place for what it writes")


def _paths_in(value: object) -> list[Path]:
    """The paths that a value may name; a text may be one too, as that of --templates."""
    return [Path(one) for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, str | Path)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name of a file; or whoever opens it reports what is wrong
        return False


def _is_in_run(path: Path, given: Mapping[str, Any]) -> bool:
    """Whether the file lies right inside one of the runs that the command reads."""
    read = given.get("what") or (given.get("run"),)
    above = path.absolute().parent
    return (above / "checkpoint.safetensors").exists() and above in [run.absolute() for run in read if run]


def require_numbers(command: click.Command, given: Mapping[str, Any]) -> None:
    """Refuse "nan" for an option with a range, which no comparison with its ends refuses: BadParameter."""
    for option in command.params:
        value = given.get(option.name or "")
        if isinstance(option.type, click.FloatRange) and isinstance(value, float) and math.isnan(value):
            raise click.BadParameter("nan is not a number", param=option)


def require_inputs(command: str, given: Mapping[str, Any]) -> None:
    """Refuse a path that does not exist: DataError that says what was expected there."""
    for name, problem in {**SHARED, **OWN.get(command, {})}.items():
        paths = given.get(name) or ()
        for path in (paths,) if isinstance(paths, Path) else paths:
            if isinstance(path, Path) and not _is_pattern(path, option=name) and not _is_there(path):
                raise DataError(f"{path}: {problem}")


def checked(command: click.Command) -> click.Command:
    """Return the command, which now checks its inputs first; a group with all its commands."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            checked(part)
    elif command.callback:
        command.callback = _checking(command)
    return command


def _checking(command: click.Command) -> Any:
    run = command.callback
    assert run is not None

    @functools.wraps(run)
    def check(*arguments: Any, **options: Any) -> Any:
        require_numbers(command, options)
        require_inputs(command.name or "", options)
        require_outputs(command.name or "", options)
        return run(*arguments, **options)

    return check


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # such as in a folder that cannot be entered: whoever opens it reports what is wrong


def _is_pattern(path: Path, *, option: str) -> bool:
    return option == "split_files" and any(mark in str(path) for mark in "*?[")
