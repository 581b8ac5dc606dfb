"""The frame of a page of runs, with one label a video or several: what its templates read beside the sections."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from framebank.library.reporting.facts import facts_of_runs
from framebank.library.reporting.material import PageRun, RunMaterial
from framebank.library.reporting.page import ReportPage
from framebank.library.reporting.render import NO_CELLS, write_report
from framebank.library.reporting.sections import MadeSections
from framebank.library.reporting.trained import trained_notes


def write_runs(
    material: RunMaterial[Any], made: MadeSections, *, kind: str, headline: str, data: Mapping[str, Any] = NO_CELLS
) -> ReportPage:
    """Write the page of some runs, and return what it says; see `write_report`."""
    runs: Sequence[_ShownRun] = material.runs
    return write_report(
        material.out,
        material,
        made,
        kind=kind,
        headline=headline,
        about={
            "title": " and ".join(run.name for run in runs),
            "notes": trained_notes(runs),
            "runs": runs,
            "facts": facts_of_runs(runs),
        },
        figures={"runs": [run.to_dict() for run in runs]},
        data=data,
    )


class _ShownRun(PageRun, Protocol):
    def to_dict(self) -> dict[str, Any]: ...
