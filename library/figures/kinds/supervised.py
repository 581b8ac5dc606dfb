"""Supervised protocols: a recipe trained on each split."""

from framebank.library.figures.kinds.kind import ProtocolFigures, ProtocolRequest, jobs_of, recipe_of


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
        device=asked.device,
        done=asked.done,
    )
    return ProtocolFigures(tuple(parts), mean_over(parts), told, seeds=asked.protocol.seeds or (recipe.seed,))
