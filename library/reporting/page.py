"""ReportPage: the HTML file that `report` wrote, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framebank.library.table import html_lines
from framebank.store.counts import counted

TITLES = {
    "contents": "What is in it",
    "sheets": "A look at each class",
    "rows": "Norms and outliers",
    "classes": "Classes",
    "labels": "Labels",
    "pairs": "Runs",
    "confusions": "Confusions",
    "telling": "Telling videos",
    "flips": "What another run changes",
    "certainty": "Confidence",
    "perturbed": "Frames and their order",
    "lengths": "Length of the videos",
    "map": "Map of the embeddings",
    "near": "Near-duplicates",
    "suspects": "Labels to check",
}  # of the sections, by the names that `figures` and `left_out` have


@dataclass(frozen=True, repr=False)
class ReportPage:
    """One self-contained HTML file at `path`.

    `headline` says the result in one sentence. `figures` has the figures of each section by its name. `left_out` says
    of each section that is not on the page why it is not. `pictures` counts the videos that are shown by a frame, and
    `unread` says why some could not be.
    """

    path: Path
    headline: str
    figures: Mapping[str, Any]
    left_out: Mapping[str, str]
    pictures: int
    num_bytes: int
    unread: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "path": str(self.path),
            "headline": self.headline,
            "figures": dict(self.figures),
            "left_out": dict(self.left_out),
            "pictures": self.pictures,
            "num_bytes": self.num_bytes,
            "unread": dict(self.unread),
        }

    def lines(self) -> list[str]:
        """Return the headline, what is left out, and the path of the file."""
        left_out = [f"left out   {TITLES[name]}: {reason}" for name, reason in self.left_out.items()]
        unread = [f"unread     {counted(len(self.unread), 'video')} could not be read for a picture"]
        return [self.headline, *left_out, *unread * bool(self.unread), str(self.path)]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_lines(self.lines())
