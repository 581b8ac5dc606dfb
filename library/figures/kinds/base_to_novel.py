"""Base to novel: a recipe learns some classes from few videos; what of it holds for classes that it never saw."""

from framebank.library.figures.kinds.kind import ProtocolFigures, ProtocolRequest, jobs_of, prompts_of, recipe_of


def score_base_to_novel(asked: ProtocolRequest) -> ProtocolFigures:
    """Train the recipe (actionclip) on the base classes of each draw; score base and novel classes by texts."""
    from framebank.heads.evaluation.base_to_novel import require_texts, train_base_to_novel
    from framebank.heads.evaluation.by_names import ByTexts
    from framebank.heads.evaluation.split_report import harmonic_mean_over
    from framebank.library.texts import tower_of

    assert asked.lists
    recipe, told = recipe_of(asked, default="actionclip")
    require_texts(recipe)
    words = prompts_of(asked, recipe)
    tower = tower_of(asked.store, device=str(asked.device))
    base, novel = train_base_to_novel(
        asked.protocol,
        asked.store,
        recipe,
        words,
        ByTexts(recipe.scoring, asked.device, tower=tower),
        lists=asked.lists,
        folder=asked.folder,
        shown=asked.shown,
        job_of=jobs_of(asked, recipe, words),
        done=asked.done,
    )
    figures = harmonic_mean_over(base, novel)
    parts = tuple(part for pair in zip(base, novel, strict=True) for part in pair)
    note = (
        f"means      {100 * figures['base_top1']:.1f} % of base classes, {100 * figures['novel_top1']:.1f} % of novel"
    )
    return ProtocolFigures(parts, figures, told, seeds=(recipe.seed,), together="harmonic mean", notes=(note,))
