"""A model card: the README.md of a run, with its figures as Hugging Face's `model-index` reads them."""

import json
from collections.abc import Sequence
from pathlib import Path

from framebank.library.reporting.facts import facts_of_runs
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.runs import EvaluatedRun, read_runs
from framebank.library.reporting.trained import trained_among
from framebank.library.table import markdown_table, percent
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.replacing import write_text


def write_card(folders: Sequence[Path], out: Path) -> ReportPage:
    """Write the card of one evaluated run; see `report`. DataError for several runs."""
    if len(folders) > 1:
        raise DataError(f"{out}: is the name of a model card, which is of one run; expected one run, or a page (.html)")
    (run,) = read_runs(folders)
    if run.seeds:
        raise DataError(f"{folders[0]}: holds runs of several seeds; expected one run, such as {folders[0]}/seed-0")
    text = card_text(run, learned=trained_among(run))
    write_text(out, text)
    low, high = run.interval
    headline = f"{run.name}: top-1 {percent(run.top1)} (95 % {100 * low:.1f} to {100 * high:.1f})."
    return ReportPage(out, headline, {"runs": [run.to_dict()]}, {}, 0, len(text.encode("utf-8")))


def card_text(run: EvaluatedRun, *, learned: int = 0) -> str:
    """Return the card: the metadata, then the figures and the protocol in words.

    If the run was trained on some of the measured videos (`learned`), the text says so, and the metadata has no
    figures. Texts in the metadata are written as JSON strings, which YAML reads as they are.
    """
    low, high = run.interval
    facts = [(fact.name, fact.values[0]) for fact in facts_of_runs([run]) if fact.name != "Store"]
    videos = counted(len(run.targets), "video")
    told = (
        f" It was trained on {learned} of these {videos}, so these figures are too good, and the metadata has none."
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
            *([] if learned else _model_index(run)),
            "---",
            "",
            f"# {run.name}",
            "",
            f"A head of framebank on frozen embeddings of frames. It is right in {percent(run.top1)} of "
            f"{videos} of the split {run.split} (95 % {100 * low:.1f} to {100 * high:.1f}). "
            f"top-5 {percent(run.top5)}, class mean {percent(run.class_mean)}.{told}",
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


def _model_index(run: EvaluatedRun) -> list[str]:
    """The lines of the figures in the metadata."""
    metrics = [
        ("accuracy", "top-1 accuracy", run.top1),
        ("accuracy", "top-5 accuracy", run.top5),
        ("accuracy", "mean class accuracy", run.class_mean),
    ]
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
    for kind, name, value in metrics:
        lines += [f"    - type: {kind}", f"      name: {name}", f"      value: {value:.4f}"]
    return lines
