"""Episodes: new classes recognised from a few videos of each, by a matcher, with baselines that are always scored."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.figures.kinds.kind import ProtocolFigures, ProtocolRequest
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.evaluation.split_report import SplitReport
    from framebank.library.episodes.report import FewshotReport, MatcherScore


def score_episodes(asked: ProtocolRequest) -> ProtocolFigures:
    """Score the protocol's episodes by `matchers`, by the matcher of `run` and by the baselines, for each shot.

    `top1` is the mean over the shots of the first matcher that was asked for, or else of the first baseline. A run may
    come from other videos and classes of the same encoder (cross-domain). DataError if the protocol asks for such a run
    and it was trained on this store. Texts among the baselines are left out where
    the classes have none; a line says why.
    """
    from framebank.heads.fewshot.matcher_name import reads_text
    from framebank.heads.progress import tell_nobody
    from framebank.library.episodes.evaluation import evaluate_shots

    protocol, files = asked.protocol, _class_lists(asked)
    _require_other_store(asked)
    plain = [name for name in protocol.baselines if not reads_text(name)]
    reports = evaluate_shots(
        asked.store,
        list(dict.fromkeys([*asked.matchers, *plain])),
        protocol.shots,
        plan={
            "way": protocol.way,
            "query": None,
            "episodes": protocol.episodes,
            "seed": protocol.seeds[0],
            "support_split": None,
            "support_list": None,
        },
        run=asked.run,
        split=protocol.split,
        class_splits=files,
        frames=0,
        frame_norm=True,
        given=asked.words,
        device=str(asked.device),
        watch=asked.watch,
        tell=tell_nobody,
    )
    for _ in protocol.shots:
        asked.done()
    head, listed = reports[0].scores[0].matcher, _listed(files, protocol.split)
    parts = tuple(
        _part(
            report,
            score,
            listed=listed,
            is_baseline=score.matcher in protocol.baselines and score.matcher not in asked.matchers,
        )
        for report in reports
        for score in report.scores
    )
    firsts = [part for part in parts if part.name.endswith(f" {head}")]
    figures = {
        "top1": statistics.fmean(part.report["top1"] for part in firsts),
        "top1_interval": _mean_interval(firsts),
        "deviation": 0.0,
        "videos_evaluated": firsts[0].evaluated,
        "videos_listed": firsts[0].listed,
    }
    told = dict.fromkeys(note for report in reports for note in (*report.notes, _missing(report)) if note)
    return ProtocolFigures(
        parts,
        figures,
        recipe="" if asked.run else head,
        run=str(asked.run or ""),
        seeds=protocol.seeds,
        together=f"{head}, over the shots",
        notes=(*told, *_trained_on(reports[0])),
        more={"episodes_hashes": [report.protocol["episodes_hash"] for report in reports]},
    )


def _require_other_store(asked: ProtocolRequest) -> None:
    from framebank.heads.fewshot.run import FewshotRun

    if not asked.protocol.needs_run or not asked.run:
        return
    if Path(FewshotRun.read(asked.run).store).resolve() == asked.store.path.resolve():
        raise DataError(
            f"{asked.run}: was trained on the store {asked.store.path}, which the protocol {asked.protocol.name!r} "
            "tests; expected a run of another store"
        )


def _class_lists(asked: ProtocolRequest) -> Sequence[Path]:
    """Return the lists that place classes in splits. DataError if they are not those of the protocol."""
    from framebank.heads.evaluation.divided import first_there, hash_of_lists

    protocol = asked.protocol
    if not protocol.class_lists:
        return ()
    assert asked.lists
    files = [path for name in protocol.class_lists for path in first_there((name,), asked.lists)]
    if protocol.class_lists_hash and (found := hash_of_lists(files)) != protocol.class_lists_hash:
        raise DataError(
            f"{files[0]}: the lists have the hash {found}; the protocol {protocol.name!r} says "
            f"{protocol.class_lists_hash}; expected the published lists"
        )
    return files


def _listed(files: Sequence[Path], split: str) -> int:
    """How many videos official lists place in a split; 0 without lists."""
    from framebank.store.videos.lists import read_list

    return sum(row.split == split for file in files for row in read_list(file))


def _part(report: "FewshotReport", score: "MatcherScore", *, listed: int, is_baseline: bool) -> "SplitReport":
    from framebank.heads.evaluation.split_report import SplitReport

    low, high = score.bounds
    facts = {**report.protocol, "protocol_hash": score.protocol_hash}
    values: dict[str, Any] = {
        "top1": score.accuracy,
        "top1_interval": (low, high),
        "videos_evaluated": report.protocol["videos_evaluated"],
        "baseline": is_baseline,
        "made_by": facts,
    }
    return SplitReport(f"{report.shot}-shot {score.matcher}", values, listed or int(report.protocol["videos_listed"]))


def _mean_interval(parts: "Sequence[SplitReport]") -> tuple[float, float]:
    """The interval of the mean over the shots, whose episodes are taken for independent."""
    mean = statistics.fmean(part.report["top1"] for part in parts)
    halves = [(part.report["top1_interval"][1] - part.report["top1_interval"][0]) / 2 for part in parts]
    half = sum(half**2 for half in halves) ** 0.5 / len(parts)
    return max(0.0, mean - half), min(1.0, mean + half)


def _missing(report: "FewshotReport") -> str:
    return f"no texts   {report.texts_missing}" if report.texts_missing else ""


def _trained_on(report: "FewshotReport") -> tuple[str, ...]:
    facts = report.protocol
    if "classes_trained_on" not in facts:
        return ()
    return (f"overlap    the run was trained on {facts['classes_trained_on']} of these {facts['classes']} classes",)
