"""By names: the figures of a zero-shot protocol, which scores videos by the texts of their classes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from framebank.heads.evaluation.divided import divide, first_there
from framebank.heads.evaluation.evaluate import evaluate_zero_shot, require_measurable, zero_shot_hint
from framebank.heads.evaluation.named import ListedSplit, NamedProtocol
from framebank.heads.evaluation.split_report import SplitReport
from framebank.heads.text_tower import TowerLoader
from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.prompts import PromptBank
from framebank.store.videos.labels import LabelSet, class_text
from framebank.store.videos.manifest import Manifest


@dataclass(frozen=True)
class ByTexts:
    """What scores videos by texts: the pooling head of a run, if there is one, and how templates are averaged."""

    scoring: str
    device: torch.device
    run: Run | None = None
    path: Path | None = None
    tower: TowerLoader | None = None


def score_by_names(
    protocol: NamedProtocol,
    store: FeatureStore,
    prompts: PromptBank,
    scorer: ByTexts,
    *,
    lists: Path | None,
    done: Callable[[], None],
) -> list[SplitReport]:
    """Score each test list, the whole store, halves of the classes or listed classes, by the texts of the classes.

    DataError, before the first is scored, if a list does not fit, if the videos of a part give no figure, or if the run
    was trained on some of them.
    """
    parts = list(_tested(protocol, store, prompts, lists))
    trained = set(scorer.run.videos_in(store)) if scorer.run else set()
    for name, manifest, names, _ in parts:
        own, several = prompts.select(names).labels, bool(scorer.run and scorer.run.recipe.is_multi_label)
        told = {"split": name, "hint": zero_shot_hint(store), "mine": "the set of classes"}
        require_measurable(store, manifest, own, multi_label=several, **told)
        _require_not_trained(trained, manifest, name, where=scorer.path)
    reports = []
    for name, manifest, names, listed in parts:
        reports.append(score_part(name, store, manifest, prompts.select(names), scorer, listed=listed))
        done()
    return reports


def _require_not_trained(trained: set[str], manifest: Manifest, name: str, *, where: Path | None) -> None:
    both = [video_id for video_id in manifest.ids if video_id in trained]
    if both:
        raise DataError(
            f"{where}: was trained on {len(both)} of the {counted(len(manifest), 'video')} of the part {name!r}, such "
            f"as {both[0]!r}; expected a run of other videos"
        )


def score_part(
    name: str, store: FeatureStore, manifest: Manifest, prompts: PromptBank, scorer: ByTexts, *, listed: int = 0
) -> SplitReport:
    """Score the videos of `manifest` by the texts of the classes of `prompts`."""
    report = evaluate_zero_shot(
        prompts,
        store,
        manifest,
        split=name,
        scoring=scorer.scoring,
        device=scorer.device,
        run=scorer.run,
        folder=scorer.path,
        tower=scorer.tower,
    )
    return SplitReport(name, report, listed or len(manifest))


def half_of(names: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return the first half of the classes in the order of numpy.random.permutation, after numpy.random.seed(seed).

    >>> half_of(("a", "b", "c", "d"), 0)
    ('c', 'd')
    """
    order = np.random.RandomState(seed).permutation(len(names))
    return tuple(names[place] for place in order[: len(names) // 2])


def of_classes(manifest: Manifest, names: Sequence[str]) -> Manifest:
    """Return the videos all of whose labels are among the classes, whatever the way in which these are written."""
    held = set(map(class_text, names))
    return Manifest(tuple(v for v in manifest.videos if v.labels and held.issuperset(map(class_text, v.labels))))


def _tested(
    protocol: NamedProtocol, store: FeatureStore, prompts: PromptBank, lists: Path | None
) -> Iterator[tuple[str, Manifest, tuple[str, ...], int]]:
    """Yield the name, the videos, the classes and the number of listed videos of each part."""
    names, labelled = prompts.labels.names, store.manifest.labelled()
    if protocol.videos == "full":
        yield "full", labelled, names, len(store.manifest)
    elif protocol.videos == "half":
        if len(names) < 4:
            raise DataError(
                f"{store.path}: has {counted(len(names), 'class', 'classes')}; expected 4 or more, to draw half"
            )
        for seed in protocol.seeds:
            half = half_of(names, seed)
            yield f"half-{seed}", of_classes(labelled, half), half, 0
    for number, split in enumerate(protocol.splits, start=1):
        assert lists
        if protocol.videos == "classes":
            chosen = _listed_classes(split, names, lists, where=store.path)
            yield f"classes-{number}", of_classes(labelled, chosen), chosen, 0
        else:
            divided = divide(store, split, lists=lists)
            yield f"split-{number}", divided.store.split("test"), names, divided.test_listed


def _listed_classes(split: ListedSplit, names: Sequence[str], lists: Path, *, where: Path) -> tuple[str, ...]:
    """Return the classes of a list, as `names` write them. DataError if the list has another number of them.

    All of them are answers to choose from, whether the store has videos of them or not; so all must be in `names`.
    """
    file = first_there(split.classes, lists)[0]
    listed = LabelSet.read(file).names
    if split.num_classes and len(listed) != split.num_classes:
        raise DataError(
            f"{file}: lists {counted(len(listed), 'class', 'classes')}; the protocol says {split.num_classes}; "
            "expected the official list"
        )
    written = {class_text(name): name for name in names}
    lacking = next((name for name in listed if class_text(name) not in written), None)
    if lacking:
        raise DataError(
            f"{file}: lists the class {lacking!r}, which is not among the texts; expected --labels with all the classes"
        )
    return tuple(written[class_text(name)] for name in listed)
