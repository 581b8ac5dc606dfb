"""DrawnVideos: which videos of a store a training learns from, and which ones judge it."""

from framebank.heads.training.recipe import Recipe
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.videos.draws import FEWEST_TO_HOLD_OUT
from framebank.store.videos.groups import shared_note, undivided_classes, undivided_note
from framebank.store.videos.manifest import Manifest


def draw_videos(
    store: FeatureStore, manifest: Manifest, recipe: Recipe, *, val_split: str | None, choosing: bool
) -> tuple[Manifest, Manifest | None, tuple[str, ...]]:
    """Return the videos that train, those that judge them, if there are any, and notes on the draw.

    `manifest` holds the videos to train on. Some of them are held out if the training is `choosing` something and no
    others were named. DataError if no video is left to train on.
    """
    several = recipe.is_multi_label
    train, val = embedded_videos(store, manifest, multi_label=several), Manifest(())
    note = ""
    if has_val(store, recipe, val_split):
        val = embedded_videos(store, store.split(val_split or "val"), multi_label=several)
        seen = {video.video_id for video in val.videos}
        train = Manifest(tuple(video for video in train.videos if video.video_id not in seen))
        note = shared_note(train.videos, val.videos)
        if not train.videos:
            raise DataError(f"{store.path}: every training video is a validation video too; name other splits")
    elif not recipe.shots and choosing:
        if recipe.val_fraction:
            alone = undivided_classes(train.videos, least=FEWEST_TO_HOLD_OUT)
            note = undivided_note(alone, so="none of them is held out for validation")
        train, val = train.held_out(recipe.val_fraction, seed=recipe.seed)
    if recipe.shots:
        train = train.few_shot(recipe.shots, seed=recipe.seed)
    return train, val if val.videos else None, (note,) if note else ()


def has_val(store: FeatureStore, recipe: Recipe, val_split: str | None) -> bool:
    """Return whether a split of validation videos is there, so that none are held out of the training videos."""
    return bool(val_split) or (not recipe.shots and store.manifest.split_named("val") in store.manifest.split_sizes)


def embedded_videos(store: FeatureStore, manifest: Manifest, *, multi_label: bool) -> Manifest:
    """Return the labelled videos that have an embedding. DataError if there is none.

    Without `multi_label`, DataError if one of them has several labels.
    """
    labelled = manifest.labelled()
    held = [place for place, video_id in enumerate(labelled.ids) if video_id in store]
    found = labelled if len(held) == len(labelled) else labelled.select(held)
    if not len(found):
        raise DataError(
            f"{store.path}: of the {counted(len(manifest), 'video')} asked for, none has both an embedding and a label"
        )
    if not multi_label:
        found.require_single_labels()
    return found
