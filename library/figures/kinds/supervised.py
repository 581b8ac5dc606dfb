"""Supervised protocols: a recipe trained on each split."""

from collections.abc import Mapping
from typing import Any

from framebank.library.figures.kinds.kind import ProtocolFigures, ProtocolRequest, classes_of, jobs_of, recipe_of


def score_supervised(asked: ProtocolRequest) -> ProtocolFigures:
    """Train the recipe (linear-probe) on each split, or once for each seed, and score the test videos."""
    from framebank.heads.evaluation.split_report import mean_over
    from framebank.heads.evaluation.supervised import train_on_splits

    recipe, told = recipe_of(asked, default="linear-probe")
    parts = train_on_splits(
        asked.protocol,
        asked.store,
        recipe,
        lists=asked.lists,
        folder=asked.folder,
        shown=asked.shown,
        job_of=jobs_of(asked, recipe),
        classes=classes_of(asked),
        device=asked.device,
        done=asked.done,
    )
    chosen = {part.name: part.report["grid"] for part in parts if "grid" in part.report}
    return ProtocolFigures(
        tuple(parts),
        mean_over(parts),
        told,
        seeds=asked.protocol.seeds or (recipe.seed,),
        notes=tuple(_chosen(name, found, asked.protocol.grid) for name, found in chosen.items()),
        more={"grid": chosen} if chosen else {},
    )


def _chosen(name: str, found: Mapping[str, Any], grid: Mapping[str, Any]) -> str:
    setting = ", ".join(f"{key} {found['chosen'][key]}" for key in grid)
    return f"chosen     {name}: {setting}, of {len(found['tried'])} settings, by videos held out of the training list"
