"""The report of runs of several labels a video: its sections are gathered and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.heads.training.run import Run
from framebank.library.reporting.facts import facts_of_runs
from framebank.library.reporting.judged import JudgedRun, read_judged
from framebank.library.reporting.material import VideosById
from framebank.library.reporting.nearest import NearPairs, near_pairs_of_run
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.pictures import Pictures
from framebank.library.reporting.render import write_page
from framebank.library.reporting.sections import NothingToShowError, Section, make_sections, plain
from framebank.library.reporting.trained import trained_notes
from framebank.library.watch import Watch
from framebank.store.counts import counted
from framebank.store.features import FeatureStore


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


@dataclass(frozen=True, eq=False)
class JudgedMaterial:
    """The runs, their store if it is there, and what reads pictures of its videos."""

    runs: tuple[JudgedRun, ...]
    pictures: Pictures

    @cached_property
    def videos(self) -> VideosById:
        """The videos of the store of the first run. NothingToShowError if it is gone."""
        return VideosById(self.held().manifest.columns)

    def held(self) -> FeatureStore:
        """Return the store of the first run. NothingToShowError if it is gone."""
        if not self.runs[0].store.exists():
            raise NothingToShowError(f"{self.runs[0].store}: no such store")
        return FeatureStore(self.runs[0].store)

    def middle(self, video_id: str) -> str:
        """Return the middle frame of a video as an address; "" if it cannot be read or enough were read."""
        return self.pictures.middle(self.videos[video_id])


def report_judged(folders: Sequence[Path], out: Path, *, pictures: int, watch: Watch) -> ReportPage:
    """Write the page of runs of several labels that were evaluated on the same videos; see `report`."""
    material = JudgedMaterial(read_judged(folders), Pictures(pictures))
    sections, left_out = make_sections(SECTIONS, material, watch=watch)
    headline = headline_of(material.runs)
    context = {
        "kind": "judged",
        "title": " and ".join(run.name for run in material.runs),
        "headline": headline,
        "notes": trained_notes(material.runs),
        "runs": material.runs,
        "facts": facts_of_runs(material.runs),
        "material": material,
        "left_out": left_out,
        **sections,
    }
    size = write_page(out, context, {"labels": [], "videos": [], "cells": {}, "pictures": {}})
    figures = {"runs": [run.to_dict() for run in material.runs], **{name: plain(one) for name, one in sections.items()}}
    read = material.pictures
    return ReportPage(out, headline, figures, left_out, read.read - len(read.failed), size, read.failed)


def headline_of(runs: Sequence[JudgedRun]) -> str:
    """Return the result in one sentence."""
    first = runs[0]
    videos = counted(len(first.video_ids), f"{first.split} video" if first.split != "all" else "video")
    if len(runs) == 1:
        occurring = counted(int((~np.isnan(first.precisions)).sum()), "label")
        told = f"{first.name} has a mAP of {100 * first.mean_map:.1f} % over {occurring} of {videos}"
        if first.seeds:
            deviation = first.over_seeds("map")[1]
            return f"{told}, the mean of {len(first.seeds)} seeds, whose deviation is {100 * deviation:.1f} points."
        return f"{told}{_within(first.interval)}."
    best = max(runs[1:], key=lambda run: run.mean_map)
    gain, interval = best.gain(first)
    seeds = f" over {len(first.seeds)} pairs of seeds" if first.seeds else ""
    told = f"{100 * gain:+.1f} points of mAP{_within(interval, sign='+')}{seeds}"
    if interval[0] <= 0 <= interval[1]:
        return f"These {videos} cannot tell whether {best.name} is better than {first.name}: {told}."
    return f"{best.name} is {'better' if gain > 0 else 'worse'} than {first.name}: {told} on {videos}."


def _within(interval: tuple[float, float], *, sign: str = "") -> str:
    low, high = (f"{100 * end:{sign}.1f}" for end in interval)
    return f" (95 % {low} to {high})"


def _labels(material: JudgedMaterial) -> LabelsWorth:
    first = material.runs[0]
    occurring = np.flatnonzero(~np.isnan(first.precisions)).tolist()
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
        for place in occurring
    ]
    found.sort(key=lambda one: (one.precisions[0], -one.videos, one.label))
    return LabelsWorth(tuple(found), len(first.labels) - len(found))


def _precisions(run: JudgedRun) -> tuple[np.ndarray, np.ndarray | None]:
    """The average precisions (C,) of a run and their deviations over its seeds, None for a single run."""
    return run.over_seeds("precisions") if run.seeds else (run.precisions, None)


def _near(material: JudgedMaterial) -> NearPairs:
    first = material.runs[0]
    own = (first.seeds or (first,))[0]
    return near_pairs_of_run(Run.read(own.path), material.held(), first.video_ids, split=first.split)


SECTIONS: Mapping[str, Callable[[JudgedMaterial], Section]] = {"labels": _labels, "near": _near}
