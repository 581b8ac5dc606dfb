"""Holding out: the videos without a split are divided into those that train and those that a run is measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.features import read_manifest
from framebank.store.upkeep.relabel import relabel_store
from framebank.store.videos.draws import draw_held_out
from framebank.store.videos.groups import groups_of
from framebank.store.videos.split_names import usual_splits
from framebank.store.videos.video import Video

TEST, TRAIN = "test", "train"


@dataclass(frozen=True)
class HeldOut:
    """The video_ids that were held out, as the split `split`, and those that train.

    `never` are the classes of which no video was held out. `unlabelled` videos have no split still.
    """

    split: str
    held: tuple[str, ...]
    train: tuple[str, ...]
    never: tuple[str, ...]
    unlabelled: int


def hold_out(folder: Path, *, fraction: float = 0.2, split: str = TEST, seed: int = 0) -> HeldOut:
    """Give each labelled video of a store that has no split one: about `fraction` of each class `split`, others train.

    Only whole sources are held out (`groups_of`), and a source that has a split keeps it for its new videos. At least
    one video of each class with five or more is held out, if it has several sources. It is a change by hand: no
    extraction changes it, and `undo_relabel` takes it back. DataError, before anything is written, if the store would
    have no such split after it.

    >>> hold_out(Path("bank"), fraction=0.2).held  # doctest: +SKIP
    ('run/a', 'wave/c')
    """
    if not 0 < fraction < 1:
        raise DataError(f"the fraction to hold out is {fraction:g}; expected a number between 0 and 1, such as 0.2")
    manifest = read_manifest(folder)
    split = usual_splits([split], where="--split", there=manifest.split_sizes)[split]
    if split in ("", "all", TRAIN):
        raise DataError(f"the split of what is held out is {split!r}; expected another name, such as {TEST!r}")
    videos = manifest.videos
    free = [place for place, video in enumerate(videos) if video.label and not video.split]
    if not free and split not in manifest.split_sizes:
        raise DataError(f"{folder}: {_nothing_free(folder, videos)}")
    given = _divided(videos, free, fraction=fraction, split=split, seed=seed)
    if split not in given.values() and split not in manifest.split_sizes:
        raise DataError(
            f"{folder}: none of the {counted(len(free), 'labelled video')} without a split can be held out; expected a "
            "class with five videos or more, of several sources"
        )
    relabel_store(folder, {(videos[place].video_id, "split"): name for place, name in given.items()})
    ids = {name: tuple(videos[place].video_id for place in free if given[place] == name) for name in (split, TRAIN)}
    met = {label for place, name in given.items() if name == split for label in videos[place].labels}
    never = {label for place in free for label in videos[place].labels} - met
    unlabelled = sum(not video.label and not video.split for video in videos)
    return HeldOut(split, ids[split], ids[TRAIN], tuple(sorted(never)), unlabelled)


def _divided(videos: Sequence[Video], free: Sequence[int], *, fraction: float, split: str, seed: int) -> dict[int, str]:
    """Return the split of each of the `free` videos, by its place."""
    groups = groups_of(videos).tolist()
    known = {group: video.split for group, video in zip(groups, videos, strict=True) if video.split}
    drawn = [place for place in free if groups[place] not in known]
    held = draw_held_out([videos[place] for place in drawn], fraction, seed=seed)
    given = {place: known[groups[place]] for place in free if groups[place] in known}
    return given | {place: split if out else TRAIN for place, out in zip(drawn, held, strict=True)}


def _nothing_free(folder: Path, videos: tuple[Video, ...]) -> str:
    """Return why no video can be drawn, and what to do."""
    relabel = f"framebank store relabel {quote(str(folder))}"
    if not any(video.label for video in videos):
        return f"none of its {counted(len(videos), 'video')} has a label; `{relabel} FILE.csv` gives labels"
    splits = sorted({video.split for video in videos if video.split})
    told = f"each labelled video has a split already ({listed(splits)})"
    return f"{told}; `{relabel} --set '*=' --column split` takes these away"
