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
from framebank.store.videos.split_names import usual_split, usual_splits
from framebank.store.videos.video import Video

TEST, TRAIN = "test", "train"


@dataclass(frozen=True)
class HeldOut:
    """The video_ids that were held out, as the split `split`, and those that train.

    `elsewhere` have another split, that of their source. `never` are the classes of these videos of which no video of
    the store is held out. `unlabelled` videos have no split still.
    """

    split: str
    held: tuple[str, ...]
    train: tuple[str, ...]
    elsewhere: tuple[str, ...]
    never: tuple[str, ...]
    unlabelled: int


def hold_out(folder: Path, *, fraction: float = 0.2, split: str = TEST, seed: int = 0) -> HeldOut:
    """Give each labelled video of a store that has no split one: about `fraction` of each class `split`, others train.

    Only whole sources are held out (`groups_of`), and a source that has a split keeps it for its new videos. At least
    one video of each class with five or more is held out, if it has several sources; videos that have a split do not
    count. It is a change by hand: no extraction changes it, and `undo_relabel` takes it back. DataError, before
    anything is written, if the store would have no such split after it.

    >>> hold_out(Path("bank"), fraction=0.2).held  # doctest: +SKIP
    ('run/a', 'wave/c')
    """
    if not 0 < fraction < 1:
        raise DataError(f"the fraction to hold out is {fraction:g}; expected a number between 0 and 1, such as 0.2")
    manifest = read_manifest(folder)
    split = usual_splits([split], where="--split", there=manifest.split_sizes)[split]
    if split in ("", "all") or usual_split(split) == TRAIN:
        raise DataError(f"the split of what is held out is {split!r}; expected another name, such as {TEST!r}")
    videos = manifest.videos
    free = [place for place, video in enumerate(videos) if video.label and not video.split]
    if not free and split not in manifest.split_sizes:
        raise DataError(f"{folder}: {_nothing_free(folder, videos)}")
    train = manifest.split_named(TRAIN)
    given = _divided(videos, free, fraction=fraction, names=(split, train), seed=seed)
    if split not in given.values() and split not in manifest.split_sizes:
        raise DataError(
            f"{folder}: none of the {counted(len(free), 'labelled video')} without a split can be held out; expected a "
            "class with five videos or more, of several sources"
        )
    relabel_store(folder, {(videos[place].video_id, "split"): name for place, name in given.items()})
    met = {label for video in videos if video.split == split for label in video.labels}
    met |= {label for place, name in given.items() if name == split for label in videos[place].labels}
    never = {label for place in free for label in videos[place].labels} - met
    sides = {videos[place].video_id: given[place] for place in free}
    return HeldOut(
        split,
        held=tuple(video_id for video_id, side in sides.items() if side == split),
        train=tuple(video_id for video_id, side in sides.items() if side == train),
        elsewhere=tuple(video_id for video_id, side in sides.items() if side not in (split, train)),
        never=tuple(sorted(never)),
        unlabelled=sum(not video.label and not video.split for video in videos),
    )


def _divided(
    videos: Sequence[Video], free: Sequence[int], *, fraction: float, names: tuple[str, str], seed: int
) -> dict[int, str]:
    """Return the split of each of the `free` videos, by its place; `names` are of what is held out, and of the rest."""
    every = groups_of(videos)
    groups = every.tolist()
    known = {group: video.split for group, video in zip(groups, videos, strict=True) if video.split}
    drawn = [place for place in free if groups[place] not in known]
    held = draw_held_out([videos[place] for place in drawn], fraction, seed=seed, groups=every[drawn])
    given = {place: known[groups[place]] for place in free if groups[place] in known}
    return given | {place: names[0] if out else names[1] for place, out in zip(drawn, held, strict=True)}


def _nothing_free(folder: Path, videos: tuple[Video, ...]) -> str:
    """Return why no video can be drawn, and what to do."""
    relabel = f"framebank store relabel {quote(str(folder))}"
    if not any(video.label for video in videos):
        return f"none of its {counted(len(videos), 'video')} has a label; `{relabel} FILE.csv` gives labels"
    splits = sorted({video.split for video in videos if video.split})
    told = f"each labelled video has a split already ({listed(splits)})"
    return f"{told}; `{relabel} --set '*=' --column split` takes these away"
