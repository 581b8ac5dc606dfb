"""A model card: the README.md of a run, with its figures as Hugging Face's `model-index` reads them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from framebank.library.reporting.facts import facts_of_runs
from framebank.library.reporting.judged import JudgedRun, read_either
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.runs import EvaluatedRun
from framebank.library.reporting.trained import trained_among
from framebank.library.table import markdown_table, percent
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.replacing import write_text


@dataclass(frozen=True)
class CardFigure:
    """One figure of a card: its kind by the words of Hugging Face, its name, and its value, a fraction."""

    kind: str
    name: str
    value: float


@dataclass(frozen=True)
class CardFigures:
    """The figures of a card: the result with its interval (`headline`), the same in a sentence, and one by one."""

    headline: str
    sentence: str
    each: tuple[CardFigure, ...]


def write_card(folders: Sequence[Path], out: Path) -> ReportPage:
    """Write the card of one evaluated run; see `report`. DataError for several runs."""
    if len(folders) > 1:
        raise DataError(f"{out}: is the name of a model card, which is of one run; expected one run, or a page (.html)")
    judged, evaluated = read_either(folders)
    (run,) = judged or evaluated
    if run.seeds:
        raise DataError(f"{folders[0]}: holds runs of several seeds; expected one run, such as {folders[0]}/seed-0")
    figures = _of_judged(run) if isinstance(run, JudgedRun) else _of_evaluated(run)
    text = card_text(run, figures, learned=trained_among(run))
    write_text(out, text)
    page_figures = {"runs": [run.to_dict()]}
    return ReportPage(out, f"{run.name}: {figures.headline}.", page_figures, {}, 0, len(text.encode("utf-8")))


def card_text(run: EvaluatedRun | JudgedRun, figures: CardFigures, *, learned: int = 0) -> str:
    """Return the card: the metadata, then the figures and the protocol in words.

    If the run was trained on some of the measured videos (`learned`), the text says so, and the metadata has no
    figures. Texts in the metadata are written as JSON strings, which YAML reads as they are.
    """
    facts = [(fact.name, fact.values[0]) for fact in facts_of_runs([run]) if fact.name != "Store"]
    told = (
        f" It was trained on {learned} of these {counted(len(run.video_ids), 'video')}, so these figures are too good, "
        "and the metadata has none."
        if learned
        else ""
    )
    return "\n".join(
        [
            "---",
            "library_name: framebank",
            "pipeline_tag: video-classification",
            "tags:",
            "- video-classification",
            "- framebank",
            *([] if learned else _model_index(run, figures.each)),
            "---",
            "",
            f"# {run.name}",
            "",
            f"A head of framebank on frozen embeddings of frames. {figures.sentence}{told}",
            "",
            "## Protocol",
            "",
            *markdown_table(("what", "how"), facts),
            "",
            "## Classes",
            "",
            ", ".join(run.labels),
            "",
            "## Use",
            "",
            "    framebank label VIDEO --run FOLDER",
            "",
        ]
    )


def _of_evaluated(run: EvaluatedRun) -> CardFigures:
    within, videos = _within(run.interval), counted(len(run.targets), "video")
    return CardFigures(
        f"top-1 {percent(run.top1)} {within}",
        f"It is right in {percent(run.top1)} of {videos} of the split {run.split} {within}. "
        f"top-5 {percent(run.top5)}, class mean {percent(run.class_mean)}.",
        (
            CardFigure("accuracy", "top-1 accuracy", run.top1),
            CardFigure("accuracy", "top-5 accuracy", run.top5),
            CardFigure("accuracy", "mean class accuracy", run.class_mean),
        ),
    )


def _of_judged(run: JudgedRun) -> CardFigures:
    occurring = len(run.occurring)
    found = f"mAP {percent(run.map)} {_within(run.interval)}"
    sentence = (
        f"Videos may have several labels. {found} over {counted(occurring, 'label')} of "
        f"{counted(len(run.video_ids), 'video')} of the split {run.split}."
    )
    each = [CardFigure("map", "mean average precision", run.map)]
    if run.worth:
        f1, precision, recall = (float(run.worth[name]) for name in ("f1", "precision", "recall"))
        sentence += (
            f" Of the labels above their thresholds: mean F1 {percent(f1)}, precision {percent(precision)}, "
            f"recall {percent(recall)}."
        )
        each += [
            CardFigure("f1", "mean F1 of the labels above their thresholds", f1),
            CardFigure("precision", "precision of all labels above their thresholds", precision),
            CardFigure("recall", "recall of all labels above their thresholds", recall),
        ]
    return CardFigures(found, sentence, tuple(each))


def _within(interval: tuple[float, float]) -> str:
    return f"(95 % {100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _model_index(run: EvaluatedRun | JudgedRun, figures: Sequence[CardFigure]) -> list[str]:
    """The lines of the figures in the metadata."""
    lines = [
        "model-index:",
        f"- name: {json.dumps(run.name)}",
        "  results:",
        "  - task:",
        "      type: video-classification",
        "    dataset:",
        f"      name: {json.dumps(run.store.name)}",
        f"      type: {json.dumps(run.store.name)}",
        f"      split: {json.dumps(run.split)}",
        "    metrics:",
    ]
    for one in figures:
        lines += [f"    - type: {one.kind}", f"      name: {one.name}", f"      value: {one.value:.4f}"]
    return lines
