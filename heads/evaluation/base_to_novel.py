"""Base to novel: a recipe learns some classes from few videos, and is tested on these and on classes it never saw."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from framebank.heads.evaluation.by_names import ByTexts, score_part
from framebank.heads.evaluation.divided import OfficialSplit, divide
from framebank.heads.evaluation.evaluate import require_measurable, zero_shot_hint
from framebank.heads.evaluation.named import ListedSplit, NamedProtocol
from framebank.heads.evaluation.split_report import SplitReport
from framebank.heads.evaluation.supervised import JobOf, train_part, with_share
from framebank.heads.training.recipe import Recipe
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.prompts import PromptBank
from framebank.store.videos.labels import class_text


@dataclass(frozen=True)
class _Draw:
    """One draw of classes: what is trained on and tested of the base ones, what is tested of the novel ones.

    `base_prompts` and `novel_prompts` are the texts of the classes of each side.
    """

    seen: OfficialSplit
    unseen: OfficialSplit
    base_prompts: PromptBank
    novel_prompts: PromptBank

    @classmethod
    def of(cls, store: FeatureStore, split: ListedSplit, prompts: PromptBank, *, lists: Path) -> "_Draw":
        """Divide a store by the lists of a draw. DataError if a side cannot be measured, or if one class is on both."""
        seen = divide(store, replace(split, novel=(), novel_videos=0), lists=lists)
        unseen = divide(store, ListedSplit(test=split.novel, test_videos=split.novel_videos), lists=lists)
        train, test = seen.store.split("train"), unseen.store.split("test")
        known = {class_text(name) for name in train.labels}
        both = next((name for name in test.labels if class_text(name) in known), None)
        if both:
            raise DataError(f"{split.novel[0]}: lists {both!r} as a novel class, which is trained on; expected another")
        found = cls(seen, unseen, prompts.of_labels(train.labels), prompts.of_labels(test.labels))
        for side, own, mine in (
            (seen, found.base_prompts, "the training videos"),
            (unseen, found.novel_prompts, "the set of novel classes"),
        ):
            require_measurable(
                side.store,
                side.store.split("test"),
                own.labels,
                split="test",
                hint=zero_shot_hint(side.store),
                mine=mine,
            )
        return found


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
    (arXiv 2212.03640) does. `recipe` must pass `require_texts`. DataError, before the first training, if a list does
    not fit or a novel class is trained on.
    """
    base: list[SplitReport] = []
    novel: list[SplitReport] = []
    draws = [_Draw.of(store, split, prompts, lists=lists) for split in protocol.splits]
    for number, draw in enumerate(draws, start=1):
        name, seen = f"draw-{number}", draw.seen.store
        run = train_part(seen, with_share(protocol, recipe), name=name, folder=folder, job_of=job_of)
        scored = replace(scorer, run=run, path=shown / name)
        for name, side, own, found in (
            (f"base-{number}", draw.seen, draw.base_prompts.of_labels(run.labels), base),
            (f"novel-{number}", draw.unseen, draw.novel_prompts, novel),
        ):
            found.append(score_part(name, side.store, side.store.split("test"), own, scored, listed=side.test_listed))
        done()
    return base, novel


def require_texts(recipe: Recipe) -> None:
    """Refuse a recipe that knows only the classes that it is trained on: DataError."""
    if not recipe.reads_texts:
        raise DataError(
            f"the classifier {recipe.classifier!r} knows only the classes that it is trained on; expected a recipe "
            "that scores by texts, such as actionclip or froster"
        )
