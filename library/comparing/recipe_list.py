"""Recipes: the published ones, with their papers and when to use each."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from framebank.heads.training.recipe import RECIPES
from framebank.library.checks import typed
from framebank.library.table import html_table, table

PAPER = re.compile(r"\(([^()]*(?:arXiv|JMLR)[^()]*)\)")

WHEN = {
    "a5": "two attention blocks are to learn the order, under fixed class texts",
    "actionclip": "the order matters, CLIP's texts fit, and there are thousands of videos",
    "attentive-probe": "the order matters and the texts do not help; small sets too",
    "attentive-tokens": "it matters where in the frame something happens, and the store has tokens",
    "bike": "single frames show the class, and its words say which",
    "clip-probe": "the mean of the frames tells the classes; its channels differ much in scale, or the videos are few",
    "froster": "as actionclip, and classes that were never trained are to be recognised too",
    "knn": "a first figure without training, or classes that come and go",
    "linear-probe": "the mean of the frames tells the classes; the baseline of papers",
    "logistic": "the figure is to be held against MTEB's; no seed and no validation video has a part in it",
    "m2clip": "CLIP's texts fit and a light adapter over time is enough",
    "mitx": "the order matters, CLIP's texts fit, and the head is to be small",
    "ridge": "the mean of the frames tells the classes, in seconds and without steps",
    "sloshnet": "both slow and fast changes matter and the texts do not help",
    "su": "classes have descriptions whose words say what is seen",
    "text4vis": "as actionclip, with one scale learned and the texts as weights",
    "tip-adapter": "CLIP's texts fit and there are few videos; nothing is trained",
    "tip-adapter-f": "CLIP's texts fit and there are a few videos of each class",
    "vivit-frozen": "there are thousands of videos and the texts do not help",
}


@dataclass(frozen=True)
class PublishedRecipe:
    """A recipe by its name, its paper, and the data sets that it is for."""

    name: str
    paper: str
    when: str


@dataclass(frozen=True, repr=False)
class Recipes:
    """The published recipes. It prints as the table of `framebank train --list`."""

    recipes: tuple[PublishedRecipe, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"recipes": [asdict(one) for one in self.recipes]}

    def lines(self) -> list[str]:
        """Return one row for each recipe."""
        return table(*self._cells())

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [(one.name, one.when, one.paper) for one in self.recipes]
        return ("recipe", "use it where", "paper"), rows

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells())


@typed
def recipes() -> Recipes:
    """Return the published recipes by name, each with its paper and when to use it.

    >>> recipes().recipes[0].name
    'a5'
    """
    return Recipes(tuple(_read(path) for path in sorted(RECIPES.glob("*.toml"), key=lambda path: path.stem)))


def _read(path: Path) -> PublishedRecipe:
    comment = " ".join(path.read_text(encoding="utf-8").split("\nhead = ")[0].replace("\n# ", " ").split())
    found = PAPER.search(comment)
    return PublishedRecipe(path.stem, found[1] if found else "", WHEN.get(path.stem, ""))
