"""Evaluation: the scores of a run, or of the class texts alone, on a split of a store."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Protocol

from framebank.library.checks import require_among, typed
from framebank.library.figures.report import Report
from framebank.library.searching.near_copies import warn_of_copies
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn
from framebank.store.files.replacing import current

if TYPE_CHECKING:
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank


class OpenRun(Protocol):
    """An open run and its folder, such as a TrainedRun."""

    @property
    def path(self) -> Path:
        """The folder of the run."""

    @property
    def run(self) -> "Run":
        """The run as it was read from the folder."""


@typed
def zeroshot(
    bank: "FeatureStore | str | Path",
    split: str = "test",
    *,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    scoring: str = "probabilities",
    run: "OpenRun | str | Path | None" = None,
    device: str = "auto",
    watch: Watch = unwatched,
) -> Report:
    """Recognise the videos of a split by the texts of the classes alone (CLIP, Radford et al. 2021).

    `labels` are class names or a file of them. The default is the labels of the store. The names are scored, and also
    the descriptions if `labels` has them. Both are scored in two ways: by the mean of the templates' probabilities (as
    in ActionCLIP) and by the mean of their embeddings (as in CLIP). The returned report is the one of `scoring`; its
    `others` holds all of them. `prompts` is the result of `fb.prompts`, or a file of it. If `run` is given, its head
    pools the frames; otherwise the frames are averaged. DataError if no video of the split has a label, or if the texts
    do not cover the labels.

    >>> import framebank as fb
    >>> print(fb.zeroshot("demo-out/store", split="test"))                                     # doctest: +SKIP
    """
    require_among("scoring", scoring, ("probabilities", "embeddings"))
    require_among("texts", texts, ("names", "descriptions"))
    from framebank.library.stores import open_store

    store, split, manifest = _labelled_split(open_store(bank), split)

    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.evaluation.evaluate import evaluate_zero_shot, require_labels, zero_shot_hint
    from framebank.heads.training.drawn_videos import embedded_videos
    from framebank.heads.training.recipe import SCORINGS
    from framebank.heads.training.run import Run
    from framebank.library.texts import context_templates, prompt_banks, tower_of

    require_labels(store, manifest, split=split, hint=zero_shot_hint(store))
    folder = Path(run) if isinstance(run, str | Path) else run.path if run else None
    trained = Run.read(run) if isinstance(run, str | Path) else run.run if run else None
    if trained:
        trained.spec.require_same_encoder(store.spec, mine=folder, theirs=store.path)
        trained.require_texts(folder)
    embedded_videos(store, manifest, multi_label=trained.recipe.is_multi_label if trained else False)
    if trained and not prompts:
        templates = context_templates(trained.recipe.text, templates, texts)
    reports = [
        evaluate_zero_shot(
            each,
            store,
            manifest,
            split=split,
            scoring=way,
            device=resolve_device(device),
            run=trained,
            folder=folder,
            tower=tower_of(store, device=device),
        )
        for each in prompt_banks(
            store,
            manifest,
            labels=labels,
            prompts=prompts,
            templates=templates,
            texts=texts,
            device=device,
            classes=store.manifest.labels,
            watch=watch,
        )
        for way in SCORINGS
    ]
    shown = ("texts", "scoring", "top1", "top5", "mean_class_accuracy", "top1_interval", "map", "map_interval")
    scores = [{name: report[name] for name in shown if name in report} for report in reports]
    about = [{"texts": report["texts"], "scoring": report["scoring"]} for report in reports]
    others = tuple(Report.of(report, about=cells) for report, cells in zip(reports, about, strict=True))
    first = next(number for number, report in enumerate(reports) if report["scoring"] == scoring)
    return Report.of({**reports[first], "scores": scores}, about=about[first], others=others)


@typed
def evaluate(
    run: "OpenRun | Run | str | Path",
    bank: "FeatureStore | str | Path | None" = None,
    split: str = "test",
    *,
    folder: str | Path | None = None,
    prompts: "PromptBank | str | Path | None" = None,
    device: str = "auto",
) -> Report:
    """Score a split with a run. Write metrics.json and predictions.npz into the folder of the run.

    The default of `bank` is the store that the run was trained on. `prompts` are other texts of the same classes: the
    result of `fb.prompts`, or a file of it. DataError if the store comes from another encoder, if it has classes that
    the run lacks, or if no video of the split has a label.
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.evaluation.evaluate import evaluate_run, require_run_fits
    from framebank.heads.training.folder import WEIGHTS
    from framebank.heads.training.run import Run
    from framebank.library.stores import open_store
    from framebank.store import PromptBank

    if isinstance(run, Run):
        where, trained = Path(folder or "."), run
    elif isinstance(run, str | Path):
        where, trained = Path(folder or run), Run.read(run)
    else:
        where, trained = Path(folder or run.path), run.run
    if not current(where, WEIGHTS["run"]).is_file():
        raise DataError(f"{where}: holds no run; expected the folder of the run, for its figures")
    if bank is None and not Path(trained.store).is_dir():
        raise DataError(
            f"{where}: was trained on the store {trained.store}, which is not there; give it (bank, --store)"
        )
    store, split, manifest = _labelled_split(open_store(trained.store if bank is None else bank), split, run=where)
    if prompts:
        texts = prompts if isinstance(prompts, PromptBank) else PromptBank.read(prompts)
        trained = trained.with_same_classes(texts, where="the prompts" if texts is prompts else prompts)
    require_run_fits(trained, store, manifest, split=split, folder=where)
    trained_on = trained.trained_on.get("split")  # earlier versions did not keep it
    if trained_on and (split in ("all", trained_on) or trained_on == "all"):
        warn(f"{where}: was trained on the split {trained_on}, so its own training videos are in the split {split}")
    else:
        _warn_of_seen(trained, store, manifest, split, where=where)
        warn_of_copies(store, tested=manifest, trained=trained.videos_in(store))
    values = evaluate_run(trained, store, manifest, split=split, device=resolve_device(device), folder=where)
    head, classifier = trained.parts
    return Report.of(values, about={"head": head, "classifier": classifier})


def _warn_of_seen(run: "Run", store: "FeatureStore", manifest: "Manifest", split: str, *, where: Path) -> None:
    """Warn if the run was trained on videos that are in this split now."""
    seen = run.trained_videos_among(manifest.columns.ids, store=store.path)
    if seen:
        told = f"{len(seen)} of the {counted(len(manifest), 'video')} of the split {split}: {listed(seen, most=3)}"
        warn(f"{where}: was trained on {told}; its figures are too good")


def _labelled_split(
    store: "FeatureStore", split: str, *, run: Path | None = None
) -> "tuple[FeatureStore, str, Manifest]":
    """Return a store, the name that it has for a split, and the videos of it.

    A store without any label is reported before a split that does not exist.
    """
    if not store.manifest.labels:
        from framebank.heads.evaluation.evaluate import require_labels, zero_shot_hint

        hint = (
            f"framebank predict {quote(str(store.path))} --run {quote(str(run))} --csv out.csv"
            if run
            else zero_shot_hint(store)
        )
        require_labels(store, store.manifest, split="all", hint=hint)
    return store, store.manifest.split_named(split), store.split(split)
