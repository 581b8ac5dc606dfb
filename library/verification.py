"""Verification: check what framebank wrote at a path, and say what is wrong with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from framebank.heads.fewshot.loop import Stage
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.predictions import Predictions
from framebank.heads.training.folder import WEIGHTS
from framebank.heads.training.loop import Epoch
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.kinds import kind_of
from framebank.store.files.replacing import current
from framebank.store.formats.document import Fields, read_json, read_toml, shown
from framebank.store.formats.records import read_records
from framebank.store.prompts import PromptBank
from framebank.store.upkeep.history import History
from framebank.store.upkeep.known_files import read_learned
from framebank.store.upkeep.verify import verify_store


@dataclass(frozen=True)
class Wrong:
    """One fault: the file that has it, and a sentence that describes it."""

    path: Path
    what: str


@dataclass
class Finding:
    """What lies at a path, what was checked, and each fault that was found."""

    kind: str
    path: Path
    checked: list[str] = field(default_factory=list)
    to_extract: tuple[str, ...] = ()  # videos that a store lists and does not hold: not yet, or no longer
    faults: list[Wrong] = field(default_factory=list)

    @contextmanager
    def checking(self, path: Path, what: str) -> Iterator[None]:
        """Count `what` as checked. If the block raises a DataError, record a fault of the file at `path` instead."""
        try:
            yield
            self.checked.append(what)
        except DataError as error:
            self.faults.append(Wrong(path, str(error) if str(path) in str(error) else f"{path}: {error}"))


def verify_path(path: Path) -> Finding:
    """Check everything that lies at a path. DataError if framebank did not write it."""
    kind, place = kind_of(path)
    found = Finding(kind, place)
    CHECKS[kind](found)
    return found


def _check_store(found: Finding) -> None:
    verdict = verify_store(found.path)
    found.checked += [counted(verdict.num_shards, "shard"), counted(verdict.num_videos, "video"), "manifest.csv"]
    found.faults += [Wrong(fault.path, fault.problem) for fault in verdict.faults]
    found.to_extract = verdict.to_extract
    if current(found.path, "history.csv").exists():
        with found.checking(found.path / "history.csv", "history.csv"):
            History.read(found.path)
    if current(found.path, "sources.csv").exists():
        with found.checking(found.path / "sources.csv", "sources.csv"):
            read_learned(found.path)


def _check_index(found: Finding) -> None:
    from framebank.store.indexes.index import Index  # loads faiss, which a run does not need

    with found.checking(found.path, "spec.json and ids.csv"):
        index = Index.load(found.path, anew=True)
        lengths = np.linalg.norm(index.own_vectors, axis=1)
        if not (np.abs(lengths - 1) < 1e-3).all():  # false for NaN too
            raise DataError(f"{found.path / 'index.faiss'}: holds a vector that is not of length 1")
        found.checked.append(counted(index.num_own, "vector"))
        if index.searched.rows:
            found.checked.append(f"{counted(len(index.searched.rows), 'row')} of level {index.searched.level}")
        if not index.enrolment.is_empty:
            found.checked.append(f"{counted(len(index.enrolment), 'enrolled video')}")


def _check_run(found: Finding) -> None:
    folder, run = found.path, None
    with found.checking(folder / WEIGHTS["run"], WEIGHTS["run"]):
        run = Run.read(folder)
    path = current(folder, "recipe.toml")
    with found.checking(path, path.name):
        said = Recipe.of_run(read_toml(path, what="a recipe"), where=path)
        if run:
            _require_same(path, said.to_dict(), run.recipe.to_dict())
    _check_log(found, Epoch)
    path = current(folder, "metrics.json")
    if path.exists():
        with found.checking(path, path.name):
            Fields.of(read_json(path), where=path)
    path = current(folder, "predictions.npz")
    if path.exists():
        with found.checking(path, path.name):
            Predictions.read(path)


def _check_matcher(found: Finding) -> None:
    folder, run = found.path, None
    with found.checking(folder / WEIGHTS["matcher"], WEIGHTS["matcher"]):
        run = FewshotRun.read(folder)
    path = current(folder, "recipe.json")
    with found.checking(path, path.name):
        given = Fields.of(read_json(path), where=path).values
        said = FewshotRecipe.of_run(given, where=path)
        if run:
            _require_same(path, said.to_dict(), run.recipe.to_dict())
    _check_log(found, Stage)


def _check_log(found: Finding, row: type) -> None:
    path = current(found.path, "log.csv")
    with found.checking(path, path.name):
        log = read_records(path, (), what="a log of a training")
        known = [column.name for column in fields(row)]
        strange = next((name for name in log.columns if name not in known), None)
        if strange is not None:
            raise DataError(f"{path}: has the column {shown(strange)}; expected {', '.join(known)}")
        for name in log.columns:
            log.numbers(name)


def _require_same(path: Path, said: dict[str, object], trained: dict[str, object]) -> None:
    """Raise DataError, with the first key that differs, if the recipe file is not the recipe in the checkpoint."""
    odd = next((name for name in trained if said.get(name) != trained[name]), None)
    if odd is not None:
        raise DataError(
            f"{path}: {odd} is {shown(said.get(odd))}, the checkpoint was trained with {shown(trained[odd])}"
        )


def _check_prompts(found: Finding) -> None:
    with found.checking(found.path, "class embeddings"):
        bank = PromptBank.read(found.path)
        found.checked.append(f"{counted(len(bank.texts), 'text')} of {counted(len(bank.labels), 'class', 'classes')}")


def _check_adapted(found: Finding) -> None:
    from framebank.extract.adapters.adapted import check_adapted  # loads torch

    with found.checking(found.path, "their digests"):
        found.checked += check_adapted(found.path)
    path = current(found.path, "adapted.json")
    with found.checking(path, path.name):
        Fields.of(read_json(path), where=path)


CHECKS: dict[str, Callable[[Finding], None]] = {
    "store": _check_store,
    "index": _check_index,
    "run": _check_run,
    "few-shot run": _check_matcher,
    "adapted encoder": _check_adapted,
    "prompts": _check_prompts,
}
