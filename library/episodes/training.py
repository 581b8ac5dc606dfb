"""Training by episodes: train a matcher on the rows of a store and keep it in a folder."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.heads.progress import Tell, tell_nobody
from framebank.library.checks import typed
from framebank.library.episodes.plan import with_class_splits
from framebank.library.episodes.trained_matcher import TrainedMatcher
from framebank.library.stores import open_store, warn_of_test_split
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.store import FeatureStore, LabelSet, Manifest, PromptBank


@typed
def fewshot_train(
    bank: "FeatureStore | str | Path",
    folder: str | Path,
    matcher: str = "trx",
    *,
    split: str = "train",
    val_split: str | None = None,
    class_splits: Sequence[str | Path] = (),
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: str | Sequence[str] | None = None,
    texts: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
    **keys: Any,
) -> TrainedMatcher:
    """Train a matcher on episodes of a store and keep it in `folder`, with its log and recipe.

    It is trained on some classes. The step that is best on `val_split` is kept (the default is the split "val" if there
    is one; otherwise the last step is kept). `class_splits` are files that give each class its split. `keys` are those
    of a FewshotRecipe: `options` of the matcher, way, shot, query, frames, steps, episodes, lr, weight_decay,
    val_every, val_episodes, seed. DataError if the folder holds a matcher (unless `overwrite` is given), if a video
    would be in both splits, or if texts are given to a matcher that reads none.

    >>> import framebank as fb
    >>> matcher = fb.fewshot_train("demo-out/store", "matcher", "trx", steps=100)              # doctest: +SKIP
    >>> fb.fewshot("demo-out/store", run=matcher).accuracy                                     # doctest: +SKIP
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.fewshot.job import FewshotJob
    from framebank.heads.fewshot.recipe import FewshotRecipe
    from framebank.heads.matchers import READS_TEXT
    from framebank.heads.training.folder import taking
    from framebank.library.texts import prompt_banks
    from framebank.store import Manifest

    recipe = FewshotRecipe.from_dict({"matcher": matcher, **keys}, where="few-shot training")
    store, folder = open_store(bank), Path(folder)
    train, val = _videos(store.manifest, split, val_split, class_splits=class_splits, where=store.path)
    if recipe.matcher not in READS_TEXT and (labels or prompts or templates or texts):
        raise DataError(
            f"the matcher {recipe.matcher!r} reads no texts; labels, prompts, templates and texts are for those that "
            f"do: {', '.join(READS_TEXT)}"
        )
    with taking(folder, what="matcher", overwrite=overwrite):
        found = None
        if recipe.matcher in READS_TEXT:
            found = prompt_banks(
                store,
                Manifest((*train.videos, *val.videos)),
                labels=labels,
                prompts=prompts,
                templates=templates,
                texts=texts or (None if prompts else "names"),
                device=device,
                watch=watch,
            )[0]
        started = time.perf_counter()
        job = FewshotJob(store, train, recipe, val=val, prompts=found, device=resolve_device(device))
        for note in job.notes:
            warn(note)
        stages = -(-recipe.steps // recipe.val_every)
        log = list(watch(job.stages(tell=tell), total=stages, unit="stage"))
        run = job.save(folder, log=log)
    return TrainedMatcher(folder, run, device, round(time.perf_counter() - started, 2), log[-1].loss)


def _videos(
    manifest: "Manifest",
    split: str,
    val_split: str | None,
    *,
    class_splits: Sequence[str | Path],
    where: Path,
) -> "tuple[Manifest, Manifest]":
    """Return the videos to train on, and those that choose the step. DataError if a video is in both."""
    from framebank.store import Manifest

    if class_splits:
        manifest, _ = with_class_splits(manifest, class_splits, where=where)
    try:
        train = manifest.split(split).labelled()
        usual = manifest.split_named("val")
        wanted = val_split or (usual if usual in manifest.split_sizes else None)
        val = manifest.split(wanted).labelled() if wanted else Manifest(())
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if val_split:
        warn_of_test_split(val_split)
    ids = {video.video_id for video in train.videos}
    both = next((video.video_id for video in val.videos if video.video_id in ids), None)
    if both:
        raise DataError(
            f"{where}: {both!r} is in the split {split} and in {wanted}; name two splits that share no video"
        )
    return train, val
