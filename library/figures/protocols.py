"""Protocols: the figures of a named protocol on a store, and their line in the results."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.figures.kept_runs import KeptRuns, add_line, require_outside
from framebank.library.figures.pairs import HasPath
from framebank.library.table import html_table, percent, table
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.evaluation.by_protocol import SplitReport
    from framebank.heads.evaluation.named import NamedProtocol
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank

TEMPLATES, SCORING = "actionclip", "probabilities"  # of zero-shot protocols, if none are given


@dataclass(frozen=True, repr=False)
class ProtocolResult:
    """The figures of a named protocol: their means over its `parts`, which are splits or draws of classes.

    top1, top5 and mean_class_accuracy are fractions; `deviation` is that of top1 over the parts, `interval` its 95 %
    interval over videos. `videos_evaluated` of `videos_listed` were scored, over all parts together. `unwritten` says
    why the results have no line of it, where they could not be written.
    """

    name: str
    hash: str
    top1: float
    top5: float
    mean_class_accuracy: float
    interval: tuple[float, float]
    deviation: float
    videos_evaluated: int
    videos_listed: int
    parts: tuple["SplitReport", ...]
    line: Mapping[str, Any]
    unwritten: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: the line of the results, and the report of each part."""
        reports = [{"name": part.name, "listed": part.listed, **part.report} for part in self.parts]
        return {**self.line, "made_by": reports[0]["made_by"], "parts": reports}

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = []
        for part in self.parts:
            low, high = part.report["top1_interval"]
            shown = (percent(part.report["top1"]), f"{100 * low:.1f}-{100 * high:.1f}", percent(part.report["top5"]))
            rows.append((part.name, *shown, f"{part.evaluated} of {part.listed}"))
        if len(rows) > 1:
            low, high = self.interval
            mean = f"{percent(self.top1)} +- {100 * self.deviation:.1f}"
            counts = f"{self.videos_evaluated} of {self.videos_listed}"
            rows.append(("mean", mean, f"{100 * low:.1f}-{100 * high:.1f}", percent(self.top5), counts))
        return ("part", "top-1", "95 %", "top-5", "videos"), rows

    def lines(self) -> list[str]:
        """Return the table, and how it was made."""
        return [*table(*self._cells()), "", *self._below()]

    def _below(self) -> list[str]:
        by = self.line["recipe"] or self.line["run"] or "the texts of the classes"
        encoder = f"{self.line['encoder']}, weights {self.line['weights_hash'][:12]}"
        return [f"protocol   {self.name}, {self.hash}", f"encoder    {encoder}", f"by         {by}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


@typed
def evaluate_protocol(
    bank: "FeatureStore | str | Path",
    protocol: str | Path,
    *,
    lists: str | Path | None = None,
    recipe: "Recipe | str | Path | None" = None,
    run: "HasPath | str | Path | None" = None,
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
    if the protocol reads any. A supervised protocol trains `recipe` (linear-probe) on each split and keeps the runs in
    the folder `runs`, if given. Everything that is chosen is chosen on videos held out from the training list. Texts
    that are not given are those of the recipe; `lexicon` is for a recipe that reads one. A zero-shot protocol scores by
    the texts of the classes (their names in ActionCLIP's templates); the head of `run`, if given, pools the frames. If
    the line cannot be added in the end, a DataWarning says so. DataError if a list is missing or has another number of
    videos, if a video is both in training and in test, if the recipe does not read what is given, or if `results`
    cannot be written from the start.

    >>> import framebank as fb
    >>> fb.evaluate_protocol("ucf", "ucf101", lists="ucfTrainTestlist", recipe="ridge").top1   # doctest: +SKIP
    0.764
    """
    from framebank.extract.encoders.encoder import resolve_device
    from framebank.heads.evaluation.by_protocol import by_names, summed_up, train_on_splits
    from framebank.heads.evaluation.ledger import require_ledger
    from framebank.heads.evaluation.named import read_protocol
    from framebank.heads.training.run import Run
    from framebank.library.stores import open_store
    from framebank.library.texts import prompt_banks, tower_of

    named, store, started = read_protocol(protocol), open_store(bank), time.perf_counter()
    folder = Path(lists) if lists else None
    _require_fit(named, lists=folder, recipe=recipe, run=run, runs=runs, lexicon=lexicon)
    if results:
        require_outside(results, runs)
        require_ledger(Path(results))
    steps = iter(watch(range(_count(named)), total=_count(named), unit="part"))

    def done() -> None:
        next(steps, None)

    place = resolve_device(device)
    path = Path(run) if isinstance(run, str | Path) else run.path if run else None
    if named.kind == "supervised":
        chosen, told = _recipe(recipe)
        given = {"labels": labels, "prompts": prompts, "templates": templates, "texts": texts, "watch": watch}
        job_of = _jobs(store, chosen, lexicon=lexicon, given={**given, "device": place})
        with KeptRuns.making(runs, results=results) as kept:
            parts = train_on_splits(
                named,
                store,
                chosen,
                lists=folder,
                folder=kept.part,
                shown=kept.path,
                job_of=job_of,
                device=place,
                done=done,
            )
            line = kept.keep(_line(named, store, parts, recipe=told, run="", started=started))
    else:
        words = prompt_banks(
            store,
            store.manifest,
            labels=labels,
            prompts=prompts,
            templates=templates or (None if prompts else TEMPLATES),
            texts=texts or (None if prompts else "names"),
            device=device,
            classes=store.manifest.labels,
            watch=watch,
        )[0]
        parts = by_names(
            named,
            store,
            words,
            lists=folder,
            scoring=SCORING,
            run=Run.read(path) if path else None,
            run_path=path,
            tower=tower_of(store, device=device),
            device=place,
            done=done,
        )
        line = _line(named, store, parts, recipe="", run=str(path) if path else "", started=started)
    found = summed_up(parts)
    return ProtocolResult(
        name=named.name,
        hash=named.hash,
        top1=found["top1"],
        top5=found["top5"],
        mean_class_accuracy=found["mean_class_accuracy"],
        interval=found["top1_interval"],
        deviation=found["deviation"],
        videos_evaluated=found["videos_evaluated"],
        videos_listed=found["videos_listed"],
        parts=tuple(parts),
        line=line,
        unwritten=add_line(Path(results), line) if results else "",
    )


def _recipe(recipe: "Recipe | str | Path | None") -> "tuple[Recipe, str]":
    """The recipe that is trained, and what the results call it."""
    from framebank.heads.training.recipe import Recipe, read_recipe

    if isinstance(recipe, Recipe):
        return recipe, recipe.head
    return read_recipe(recipe or "linear-probe"), str(recipe or "linear-probe")


def _jobs(
    store: "FeatureStore", recipe: "Recipe", *, lexicon: str | Path | None, given: Mapping[str, Any]
) -> "Callable[[FeatureStore, Manifest, Recipe], TrainingJob]":
    """What makes the training on the videos of a split, as `train` makes it of the same recipe and texts."""
    from framebank.heads.training.lexicon import Lexicon
    from framebank.library.training import training_job

    if lexicon and not recipe.reads_lexicon:
        raise DataError(f"the classifier {recipe.classifier!r} reads no lexicon; it is for the classifier 'attributes'")
    phrases = Lexicon.read(lexicon, spec=store.spec, where=store.path) if lexicon else None
    return functools.partial(training_job, lexicon=phrases, **given)


def _require_fit(
    named: "NamedProtocol", *, lists: Path | None, recipe: object, run: object, runs: object, lexicon: object
) -> None:
    """Refuse what the protocol does not read, and ask for what it does: DataError."""
    if named.reads_lists and lists is None:
        raise DataError(f"the protocol {named.name!r} reads official lists; expected --lists, the folder of them")
    if not named.reads_lists and lists is not None:
        raise DataError(f"the protocol {named.name!r} reads no lists; expected no --lists")
    if named.kind == "supervised" and run:
        raise DataError(f"the protocol {named.name!r} trains runs of its own; expected --recipe, not --run")
    if named.kind == "zero-shot" and (recipe or runs or lexicon):
        raise DataError(
            f"the protocol {named.name!r} trains nothing; expected no --recipe, no --keep-runs and no --lexicon"
        )


def _count(named: "NamedProtocol") -> int:
    return len(named.splits) or len(named.seeds) or 1


def _line(
    named: "NamedProtocol",
    store: "FeatureStore",
    parts: Sequence["SplitReport"],
    *,
    recipe: str,
    run: str,
    started: float,
) -> dict[str, Any]:
    from datetime import UTC, datetime

    import torch

    from framebank import __version__
    from framebank.heads.evaluation.by_protocol import summed_up

    found = summed_up(parts)
    facts = parts[0].report["made_by"]
    return {
        "protocol": {"name": named.name, "hash": named.hash},
        "store": str(store.path.absolute()),
        "encoder": store.spec.encoder,
        "weights_hash": store.spec.weights_hash,
        "spec": store.spec.to_dict(),
        "by": recipe or run or "texts",
        "recipe": recipe,
        "settings": facts.get("recipe"),
        "run": run,
        "texts": facts.get("texts"),
        "templates": facts.get("templates"),
        "scoring": facts.get("scoring"),
        "seeds": list(named.seeds) or [facts["recipe"]["seed"]] if facts.get("recipe") else list(named.seeds),
        **{name: list(value) if isinstance(value, tuple) else value for name, value in found.items()},
        "each_top1": [part.report["top1"] for part in parts],
        "made_by_hashes": [part.report["made_by"]["protocol_hash"] for part in parts],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 3),
        "versions": {"framebank": __version__, "torch": torch.__version__},
    }
