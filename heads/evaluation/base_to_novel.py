"""Base to novel: a recipe learns some classes from few videos, and is tested on these and on classes it never saw."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from framebank.heads.evaluation.by_names import ByTexts, score_part
from framebank.heads.evaluation.divided import divide
from framebank.heads.evaluation.named import ListedSplit, NamedProtocol
from framebank.heads.evaluation.split_report import SplitReport
from framebank.heads.evaluation.supervised import JobOf, train_part, with_share
from framebank.heads.training.recipe import Recipe
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.prompts import PromptBank
from framebank.store.videos.labels import class_text


def train_base_to_novel(
    protocol: NamedProtocol,
    store: FeatureStore,
    recipe: Recipe,
    prompts: PromptBank,
    scorer: ByTexts,
    *,
    lists: Path,
    folder: Path,
    shown: Path,
    job_of: JobOf,
    done: Callable[[], None],
) -> tuple[list[SplitReport], list[SplitReport]]:
    """Train a recipe on the base classes of each draw, and return the figures on base classes and on novel ones.

    Both are scored by the texts of their own classes in `prompts`, among base and among novel classes, as ViFi-CLIP
    (arXiv 2212.03640) does. `recipe` must pass `require_texts`. DataError if a novel class is trained on.
    """
    base: list[SplitReport] = []
    novel: list[SplitReport] = []
    for number, split in enumerate(protocol.splits, start=1):
        seen = divide(store, replace(split, novel=(), novel_videos=0), lists=lists)
        unseen = divide(store, ListedSplit(test=split.novel, test_videos=split.novel_videos), lists=lists)
        run = train_part(seen.store, with_share(protocol, recipe), name=f"draw-{number}", folder=folder, job_of=job_of)
        known = {class_text(name) for name in run.labels}
        test = unseen.store.split("test")
        both = next((name for name in test.labels if class_text(name) in known), None)
        if both:
            raise DataError(f"{split.novel[0]}: lists {both!r} as a novel class, which is trained on; expected another")
        scored = replace(scorer, run=run, path=shown / f"draw-{number}")
        for name, side, each, listed, found in (
            (f"base-{number}", seen.store.split("test"), run.labels, seen.test_listed, base),
            (f"novel-{number}", test, test.labels, unseen.test_listed, novel),
        ):
            own = prompts.of_labels(each)
            found.append(score_part(name, store, side, own, scored, listed=listed))
        done()
    return base, novel


def require_texts(recipe: Recipe) -> None:
    """Refuse a recipe that knows only the classes that it is trained on: DataError."""
    if not recipe.reads_texts:
        raise DataError(
            f"the classifier {recipe.classifier!r} knows only the classes that it is trained on; expected a recipe "
            "that scores by texts, such as actionclip or froster"
        )
