"""The report of runs: its sections are gathered and written."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from framebank.library.asking.suspects import Suspects, suspects_among
from framebank.library.reporting.certainty import RunCertainty, certainty_of
from framebank.library.reporting.classes import ClassAccuracies, class_accuracies
from framebank.library.reporting.confusions import Confusions, confusions_of, page_data
from framebank.library.reporting.flips import RunFlips, flips_of
from framebank.library.reporting.lengths import accuracy_by_length
from framebank.library.reporting.map import EmbeddingMap, MappedVideo
from framebank.library.reporting.material import JUDGED, RunMaterial, material_of
from framebank.library.reporting.nearest import NearPairs
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.perturbed import Perturbed, perturbed_of
from framebank.library.reporting.rows import drawn, pooled_videos
from framebank.library.reporting.run_page import write_runs
from framebank.library.reporting.runs import EvaluatedRun
from framebank.library.reporting.sections import NothingToShowError, Section, make_sections, shown_if_any
from framebank.library.reporting.share import RightShare
from framebank.library.reporting.strips import TellingVideos, telling_videos
from framebank.library.watch import Watch
from framebank.store.counts import counted


def report_runs(runs: tuple[EvaluatedRun, ...], out: Path, *, pictures: int, device: str, watch: Watch) -> ReportPage:
    """Write the page of runs that were evaluated on the same videos; see `report`."""
    material = material_of(runs, out, pictures=pictures, device=device)
    made = make_sections(SECTIONS, material, watch=watch)
    data = page_data(material.first, made.sections["confusions"], material.address)
    data["pictures"] = {
        number: shown for number, video in enumerate(data["videos"]) if (shown := material.middle(video[0]))
    }
    headline = headline_of(material.runs, made.sections["flips"])
    return write_runs(material, made, kind="runs", headline=headline, data=data)


def headline_of(runs: Sequence[EvaluatedRun], flips: Sequence[RunFlips]) -> str:
    """Return the result in one sentence."""
    first = runs[0]
    if not flips:
        low, high = first.interval
        of = counted(len(first.targets), f"{first.split} video" if first.split != "all" else "video")
        if first.seeds:
            mean, deviation = first.over_seeds("top1")
            told = f"the mean of {len(first.seeds)} seeds, whose deviation is {100 * deviation:.1f} points"
            return f"{first.name} is right in {100 * mean:.1f} % of {of}, {told}."
        return f"{first.name} is right in {100 * first.top1:.1f} % of {of} (95 % {100 * low:.1f} to {100 * high:.1f})."
    if len(flips) == 1:
        paired = flips[0].pair.paired
        low, high = paired.interval
        points = f"{100 * paired.difference:+.1f} points (95 % {100 * low:+.1f} to {100 * high:+.1f})"
        if paired.verdict == "cannot tell":
            videos = counted(paired.videos, "video")
            return f"These {videos} cannot tell whether {flips[0].name} is better than {first.name}: {points}."
        return f"{flips[0].name} is {paired.verdict} than {first.name}: {points} on {counted(paired.videos, 'video')}."
    best = max(runs, key=lambda run: run.over_seeds("top1")[0] if run.seeds else run.top1)
    top1 = best.over_seeds("top1")[0] if best.seeds else best.top1
    better = sum(one.pair.paired.verdict == "better" for one in flips)
    return (
        f"{best.name} has the highest accuracy, {100 * top1:.1f} %; {better} of {len(flips)} runs "
        f"{'is' if better == 1 else 'are'} better than {first.name} beyond chance."
    )


def _classes(material: RunMaterial[EvaluatedRun]) -> ClassAccuracies:
    return class_accuracies(material.runs, material.training)


def _confusions(material: RunMaterial[EvaluatedRun]) -> Confusions:
    return confusions_of(material.first)


def _telling(material: RunMaterial[EvaluatedRun]) -> TellingVideos:
    return telling_videos(material)


def _flips(material: RunMaterial[EvaluatedRun]) -> tuple[RunFlips, ...]:
    return flips_of(material.runs)


def _certainty(material: RunMaterial[EvaluatedRun]) -> tuple[RunCertainty, ...]:
    return certainty_of(material.runs)


def _perturbed(material: RunMaterial[EvaluatedRun]) -> Perturbed:
    run, store = material.opened()
    return perturbed_of(material.first, run, store, device=material.device)


def _lengths(material: RunMaterial[EvaluatedRun]) -> tuple[RightShare, ...]:
    found = accuracy_by_length(material.first, material.seconds())
    if not found:
        raise NothingToShowError("all videos are about equally long")
    return found


def _map(material: RunMaterial[EvaluatedRun]) -> EmbeddingMap:
    first = material.first

    def seen(row: int) -> MappedVideo:
        target, said = int(first.targets[row]), int(first.best[row])
        told = f"{first.video_ids[row]}: {first.labels[target]}"
        return MappedVideo((target,), said != target, told if said == target else f"{told}, said {first.labels[said]}")

    return material.map(seen)


def _suspects(material: RunMaterial[EvaluatedRun]) -> Suspects:
    store, first = material.held(), material.first
    ids = [first.video_ids[row] for row in drawn(len(first.video_ids), most=JUDGED).tolist()]
    pooled = pooled_videos(store, ids)
    videos = [material.videos[ids[place]] for place in pooled.places.tolist()]
    kept = [row for row, video in enumerate(videos) if video.label]
    with shown_if_any():
        return suspects_among([videos[row] for row in kept], pooled.vectors[kept], where=store.path)


def _near(material: RunMaterial[EvaluatedRun]) -> NearPairs:
    return material.near_pairs()


SECTIONS: Mapping[str, Callable[[RunMaterial[EvaluatedRun]], Section]] = {
    "classes": _classes,
    "confusions": _confusions,
    "telling": _telling,
    "flips": _flips,
    "certainty": _certainty,
    "perturbed": _perturbed,
    "lengths": _lengths,
    "map": _map,
    "near": _near,
    "suspects": _suspects,
}
