"""Zero-shot protocols: videos scored by the texts of their classes, their frames pooled by the mean or by a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from framebank.library.figures.kinds.kind import SCORING, ProtocolFigures, ProtocolRequest, prompts_of

if TYPE_CHECKING:
    from framebank.heads.evaluation.split_report import SplitReport
    from framebank.heads.training.run import Run


def score_zero_shot(asked: ProtocolRequest) -> ProtocolFigures:
    """Score the videos of the protocol by texts. With a run, say which classes it was trained on already.

    The further figures `classes_trained_on` are these classes; `top1_without_them` is the accuracy on videos of all
    other classes, among all classes.
    """
    from framebank.heads.evaluation.by_names import ByTexts, score_by_names
    from framebank.heads.evaluation.split_report import mean_over
    from framebank.heads.training.run import Run
    from framebank.library.texts import tower_of

    run = Run.read(asked.run) if asked.run else None
    if run:
        run.spec.require_same_encoder(asked.store.spec, mine=asked.run, theirs=asked.store.path)
    words = prompts_of(asked)
    tower = tower_of(asked.store, device=str(asked.device))
    scorer = ByTexts(SCORING, asked.device, run, asked.run, tower)
    parts = score_by_names(asked.protocol, asked.store, words, scorer, lists=asked.lists, done=asked.done)
    overlap, notes = _overlap(run, words.labels.names, parts) if run else ({}, ())
    return ProtocolFigures(
        tuple(parts),
        mean_over(parts),
        run=str(asked.run or ""),
        seeds=asked.protocol.seeds,
        notes=notes,
        more=overlap,
    )


def _overlap(
    run: "Run", names: Sequence[str], parts: "Sequence[SplitReport]"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the classes that a run was trained on, the accuracy without their videos, and a line that says both."""
    from framebank.store.counts import listed
    from framebank.store.videos.labels import class_text

    known = set(map(class_text, run.labels))
    both = [name for name in names if class_text(name) in known]
    found: dict[str, Any] = {"classes_trained_on": both}
    told = f"overlap    the run was trained on {len(both)} of these {len(names)} classes"
    if not both:
        return found, (told,)
    told += f": {listed(both, most=5)}"
    right = total = 0
    for part in parts:
        rows = zip(part.report.get("labels", ()), part.report.get("confusion", ()), strict=True)
        for place, (name, row) in enumerate(rows):
            if class_text(name) not in known:
                right, total = right + row[place], total + sum(row)
    if total:
        found["top1_without_them"] = right / total
        told += f"; top-1 on the videos of the others {100 * right / total:.1f} %"
    return found, (told,)
