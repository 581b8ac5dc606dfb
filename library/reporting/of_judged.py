"""The report of runs of several labels a video: its sections are gathered and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.heads.evaluation.paired_precision import PrecisionDifference
from framebank.heads.evaluation.verdict import corrected
from framebank.library.reporting.judged import JudgedRun
from framebank.library.reporting.judged_strips import TellingLabels, telling_labels
from framebank.library.reporting.map import EmbeddingMap, MappedVideo
from framebank.library.reporting.material import RunMaterial, material_of
from framebank.library.reporting.nearest import NearPairs
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.run_page import write_runs
from framebank.library.reporting.sections import Section, make_sections
from framebank.library.watch import Watch
from framebank.store.counts import counted


@dataclass(frozen=True)
class LabelWorth:
    """One label: the number of its videos, its average precision by each run, and its worth above its threshold.

    Of a run of several seeds, the precision is the mean over them; `deviations` has theirs, None for a single run.
    """

    label: str
    videos: int
    precisions: tuple[float, ...]
    deviations: tuple[float | None, ...]
    worth: Mapping[str, float] | None


@dataclass(frozen=True)
class LabelsWorth:
    """The labels that occur, the least precise of the first run first; `absent` do not occur."""

    labels: tuple[LabelWorth, ...]
    absent: int

    def to_dict(self) -> dict[str, Any]:
        """Return the average precisions of the first run as plain values."""
        return {
            "average_precision": {one.label: one.precisions[0] for one in self.labels},
            **(
                {"deviation": {one.label: one.deviations[0] for one in self.labels}}
                if any(one.deviations[0] is not None for one in self.labels)
                else {}
            ),
            "absent": self.absent,
        }


def report_judged(runs: tuple[JudgedRun, ...], out: Path, *, pictures: int, device: str, watch: Watch) -> ReportPage:
    """Write the page of runs of several labels that were evaluated on the same videos; see `report`."""
    material = material_of(runs, out, pictures=pictures, device=device)
    made = make_sections(SECTIONS, material, watch=watch)
    headline = headline_of(material.runs, made.sections["pairs"])
    return write_runs(material, made, kind="judged", headline=headline)


def headline_of(runs: Sequence[JudgedRun], pairs: Sequence[PrecisionDifference]) -> str:
    """Return the result in one sentence."""
    first = runs[0]
    videos = counted(len(first.video_ids), f"{first.split} video" if first.split != "all" else "video")
    if len(runs) == 1:
        occurring = counted(len(first.occurring), "label")
        told = f"{first.name} has a mAP of {100 * first.mean_map:.1f} % over {occurring} of {videos}"
        if first.seeds:
            deviation = first.over_seeds("map")[1]
            return f"{told}, the mean of {len(first.seeds)} seeds, whose deviation is {100 * deviation:.1f} points."
        return f"{told}{_within(first.interval)}."
    best, paired = max(zip(runs[1:], pairs, strict=True), key=lambda pair: pair[0].mean_map)
    seeds = f" over {paired.seeds} pairs of seeds" if first.seeds else ""
    told = f"{100 * paired.difference:+.1f} points of mAP{_within(paired.interval, sign='+')}{seeds}"
    if paired.verdict == "cannot tell":
        return f"These {videos} cannot tell whether {best.name} is better than {first.name}: {told}."
    return f"{best.name} is {paired.verdict} than {first.name}: {told} on {videos}."


def _within(interval: tuple[float, float], *, sign: str = "") -> str:
    low, high = (f"{100 * end:{sign}.1f}" for end in interval)
    return f" (95 % {low} to {high})"


def _pairs(material: RunMaterial[JudgedRun]) -> tuple[PrecisionDifference, ...]:
    """How each further run compares with the first; nothing for one run."""
    first, *others = material.runs
    return tuple(corrected([run.beside(first) for run in others]))


def _labels(material: RunMaterial[JudgedRun]) -> LabelsWorth:
    first = material.runs[0]
    each = first.worth["by_class"] if first.worth else [None] * len(first.labels)
    means, deviations = zip(*(_precisions(run) for run in material.runs), strict=True)
    found = [
        LabelWorth(
            first.labels[place],
            int(first.targets[:, place].sum()),
            tuple(float(one[place]) for one in means),
            tuple(None if one is None else float(one[place]) for one in deviations),
            each[place],
        )
        for place in first.occurring
    ]
    found.sort(key=lambda one: (one.precisions[0], -one.videos, one.label))
    return LabelsWorth(tuple(found), len(first.labels) - len(found))


def _precisions(run: JudgedRun) -> tuple[np.ndarray, np.ndarray | None]:
    """The average precisions (C,) of a run and their deviations over its seeds, None for a single run."""
    return run.over_seeds("precisions") if run.seeds else (run.precisions, None)


def _telling(material: RunMaterial[JudgedRun]) -> TellingLabels:
    return telling_labels(material)


def _map(material: RunMaterial[JudgedRun]) -> EmbeddingMap:
    first = material.first

    def seen(row: int) -> MappedVideo:
        """A mistake is a video whose surest label of all is not one of its own."""
        places, said = first.true_places(row), int(first.scores[row].argmax())
        told = f"{first.video_ids[row]}: {', '.join(first.labels[place] for place in places)}"
        wrong = said not in places
        return MappedVideo(tuple(places), wrong, f"{told}; the surest is {first.labels[said]}" if wrong else told)

    return material.map(seen)


def _near(material: RunMaterial[JudgedRun]) -> NearPairs:
    return material.near_pairs()


SECTIONS: Mapping[str, Callable[[RunMaterial[JudgedRun]], Section]] = {
    "pairs": _pairs,
    "labels": _labels,
    "telling": _telling,
    "map": _map,
    "near": _near,
}
