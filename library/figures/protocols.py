"""Protocols: the figures of a named protocol on a store, and their line in the results."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.figures.intervals import between, interval_of
from framebank.library.figures.kept_runs import KeptRuns, add_line, require_outside
from framebank.library.figures.pairs import HasPath
from framebank.library.table import html_table, percent, table
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.evaluation.named import NamedProtocol
    from framebank.heads.evaluation.split_report import SplitReport
    from framebank.heads.training.recipe import Recipe
    from framebank.library.figures.kinds import ProtocolFigures, ProtocolRequest
    from framebank.store import FeatureStore, LabelSet, PromptBank

OPTIONS = {  # what some kinds of protocols read: the argument, and the option of the command
    "recipe": "--recipe",
    "runs": "--keep-runs",
    "lexicon": "--lexicon",
    "run": "--run",
    "matchers": "--matcher",
}


@dataclass(frozen=True, repr=False)
class ProtocolResult:
    """The figures of a named protocol: their means over its `parts`, which are splits, draws or matchers.

    top1, top5, mean_class_accuracy and map are fractions, and None where the protocol has no such figure: map is for
    videos with several labels, the others for one. `deviation` is that of top1 (or map) over the parts, `interval` its
    95 % interval over videos. `videos_evaluated` of `videos_listed` were scored, over all parts together. `together`
    says what the figures are of the parts: "mean", "harmonic mean", or the matcher they are of. `unwritten` says why
    the results have no line of it, where they could not be written.
    """

    name: str
    hash: str
    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
    map: float | None
    interval: tuple[float, float] | None
    deviation: float
    videos_evaluated: int
    videos_listed: int
    parts: tuple["SplitReport", ...]
    line: Mapping[str, Any]
    together: str = "mean"
    notes: tuple[str, ...] = ()
    unwritten: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: the line of the results, and the report of each part."""
        reports = [{"name": part.name, "listed": part.listed, **part.report} for part in self.parts]
        return {**self.line, "made_by": reports[0]["made_by"], "parts": reports}

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [
            (part.name, *_figures(part.report), f"{part.evaluated} of {part.listed}") for part in self.parts
        ]
        if len(rows) > 1:
            first, *others = _figures(self.line)
            several = f" +- {100 * self.deviation:.1f}" if self.deviation else ""
            counts = f"{self.videos_evaluated} of {self.videos_listed}"
            rows.append((self.together, f"{first}{several}", *others, counts))
        return ("part", "top-1" if self.map is None else "mAP", "95 %", "top-5", "videos"), rows

    def lines(self) -> list[str]:
        """Return the table, and how it was made."""
        return [*table(*self._cells()), "", *self._below()]

    def _below(self) -> list[str]:
        by = self.line["recipe"] or self.line["run"] or "the texts of the classes"
        told = [f"protocol   {self.name}, {self.hash}", f"encoder    {self.line['encoder']}", f"by         {by}"]
        return [*told, *self.notes]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


def _figures(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the cells of top-1 (or mAP), of its interval and of top-5, empty for a figure that is not there."""
    first = found["map"] if "map" in found else found["top1"]
    return percent(first), between(interval_of(found)), percent(found["top5"]) if "top5" in found else ""


@typed
def evaluate_protocol(
    bank: "FeatureStore | str | Path",
    protocol: str | Path,
    *,
    lists: str | Path | None = None,
    recipe: "Recipe | str | Path | None" = None,
    run: "HasPath | str | Path | None" = None,
    matchers: str | Sequence[str] = (),
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    lexicon: str | Path | None = None,
    results: str | Path | None = "results.jsonl",
    runs: str | Path | None = None,
    device: str = "auto",
    watch: Watch = unwatched,
) -> ProtocolResult:
    """Return the figures of a named protocol on a store, and add a line to the file `results` (None adds none).

    `protocol` is one that comes with framebank ("ucf101") or a .toml file; `lists` is the folder of the official lists,
    if the protocol reads any. A supervised protocol trains `recipe` (linear-probe) on each split, a base-to-novel one
    (actionclip) on the base classes of each draw; `runs` is a folder that keeps these runs. Everything that is chosen
    is chosen on videos held out from the training list. Texts that are not given are those of the recipe; `lexicon` is
    for a recipe that reads one. A zero-shot protocol scores by the texts of the classes (their names in ActionCLIP's
    templates); the head of `run`, if given, pools the frames. Episodes are scored by `matchers`, by the matcher of
    `run`, and by the baselines of the protocol. If the line cannot be added in the end, a DataWarning says so.
    DataError if a list is missing or has another number of videos, if a video is both in training and in test, if the
    protocol or the recipe does not read what is given, or if `results` cannot be written from the start.

    >>> import framebank as fb
    >>> fb.evaluate_protocol("ucf", "ucf101", lists="ucfTrainTestlist", recipe="ridge").top1   # doctest: +SKIP
    0.764
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.evaluation.ledger import require_ledger
    from framebank.heads.evaluation.named import read_protocol
    from framebank.library.figures.kinds import KINDS, ProtocolRequest
    from framebank.library.figures.kinds.fixed import with_fixed
    from framebank.library.stores import open_store

    named, store, started = read_protocol(protocol), open_store(bank), time.perf_counter()
    steps = iter(watch(range(_count(named)), total=_count(named), unit="part"))

    def done() -> None:
        next(steps, None)

    asked = ProtocolRequest(
        named,
        store,
        resolve_device(device),
        watch,
        done,
        lists=Path(lists) if lists else None,
        recipe=recipe,
        run=Path(run) if isinstance(run, str | Path) else run.path if run else None,
        runs=Path(runs) if runs else None,
        lexicon=Path(lexicon) if lexicon else None,
        matchers=(matchers,) if isinstance(matchers, str) else tuple(matchers),
        labels=labels,
        prompts=prompts,
        templates=templates,
        texts=texts,
    )
    _require_fit(asked)
    asked = with_fixed(asked)
    if results:
        require_outside(results, runs)
        require_ledger(Path(results))
    if "runs" in KINDS[named.kind].reads:
        with KeptRuns.making(asked.runs, results=results) as kept:
            found = KINDS[named.kind].score(replace(asked, folder=kept.part, shown=kept.path))
            line = kept.keep(_line(asked, found, started=started))
    else:
        found = KINDS[named.kind].score(asked)
        line = _line(asked, found, started=started)
    figures = found.figures
    return ProtocolResult(
        name=named.name,
        hash=named.hash,
        top1=figures.get("top1"),
        top5=figures.get("top5"),
        mean_class_accuracy=figures.get("mean_class_accuracy"),
        map=figures.get("map"),
        interval=interval_of(figures),
        deviation=figures["deviation"],
        videos_evaluated=figures["videos_evaluated"],
        videos_listed=figures["videos_listed"],
        parts=found.parts,
        line=line,
        together=found.together,
        notes=found.notes,
        unwritten=add_line(Path(results), line) if results else "",
    )


def _require_fit(asked: "ProtocolRequest") -> None:
    """Refuse what the protocol does not read, and ask for what it does: DataError."""
    from framebank.library.figures.kinds import KINDS

    named, kind = asked.protocol, KINDS[asked.protocol.kind]
    if named.reads_lists and asked.lists is None:
        raise DataError(f"the protocol {named.name!r} reads official lists; expected --lists, the folder of them")
    if not named.reads_lists and asked.lists is not None:
        raise DataError(f"the protocol {named.name!r} reads no lists; expected no --lists")
    strange = next((name for name in OPTIONS if name not in kind.reads and getattr(asked, name)), None)
    if strange:
        reads = " and ".join(OPTIONS[name] for name in OPTIONS if name in kind.reads)
        raise DataError(f"the protocol {named.name!r} {kind.does}; expected no {OPTIONS[strange]}; it reads {reads}")
    if named.needs_run and not asked.run:
        raise DataError(
            f"the protocol {named.name!r} scores what was trained on other videos; expected --run, the folder of a run"
        )


def _count(named: "NamedProtocol") -> int:
    return len(named.splits) or len(named.shots) or len(named.seeds) or 1


def _line(asked: "ProtocolRequest", found: "ProtocolFigures", *, started: float) -> dict[str, Any]:
    from datetime import UTC, datetime

    import torch

    from framebank import __version__

    store, facts = asked.store, found.parts[0].report["made_by"]
    return {
        "protocol": {"name": asked.protocol.name, "hash": asked.protocol.hash},
        "store": str(store.path.absolute()),
        "encoder": store.spec.encoder,
        "weights_hash": store.spec.weights_hash,
        "spec": store.spec.to_dict(),
        "by": found.recipe or found.run or "texts",
        "recipe": found.recipe,
        "settings": facts.get("recipe"),
        "run": found.run,
        "texts": facts.get("texts"),
        "templates": facts.get("templates"),
        "scoring": facts.get("scoring"),
        "seeds": list(found.seeds),
        **{name: list(value) if isinstance(value, tuple) else value for name, value in found.figures.items()},
        **found.more,
        "each": {part.name: part.report.get("top1", part.report.get("map")) for part in found.parts},
        "each_top1": [part.report["top1"] for part in found.parts if "top1" in part.report],
        "made_by_hashes": [part.report["made_by"]["protocol_hash"] for part in found.parts],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 3),
        "versions": {"framebank": __version__, "torch": torch.__version__},
    }
