"""Suspects: videos whose label may be wrong, and copies of one recording that have different labels."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from framebank.library.checks import typed
from framebank.library.reporting.rows import pooled_videos
from framebank.library.searching.duplicates import DuplicatePair, duplicates
from framebank.library.stores import open_store
from framebank.library.table import html_table, table
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.videos.groups import groups_of
from framebank.store.videos.video import Video

if TYPE_CHECKING:
    from framebank.store import FeatureStore

LIKELIER = 0.5  # the share from which on another label is likelier
SHOWN = 30  # rows of a table
LEAST_ROWS = 4  # of a video that is compared with others as a copy
SURE = 0.7  # the least score of a copy
SHARE = 0.5  # of both videos that a copy covers at least


@dataclass(frozen=True)
class Suspect:
    """A video whose label may be wrong: `suggested` is likelier than `label` by the other videos.

    `score` is the probability of the suggested label as a share of both, from 0.5 for "as likely" to 1. `confident` is
    whether confident learning says so too, which looks at how sure the other videos of both labels are. `copy_of` is a
    video with the label `suggested` that shows the same recording, "" if there is none; then `score` is how sure it is
    that it does, as in `duplicates`.
    """

    video_id: str
    label: str
    suggested: str
    score: float
    confident: bool = False
    copy_of: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dict(vars(self))


@dataclass(frozen=True, repr=False)
class Suspects(Sequence[Suspect]):
    """Videos whose labels should be checked: copies with different labels first, then the surest first.

    `videos` of the labelled ones were judged; `unjudged` were not, because their class has videos of one source only.
    """

    found: tuple[Suspect, ...]
    videos: int
    unjudged: int

    @overload
    def __getitem__(self, place: int) -> Suspect: ...

    @overload
    def __getitem__(self, place: slice) -> "Suspects": ...

    def __getitem__(self, place: "int | slice") -> "Suspect | Suspects":
        if isinstance(place, slice):
            return Suspects(self.found[place], self.videos, self.unjudged)
        return self.found[place]

    def __len__(self) -> int:
        return len(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Return the suspects and the counts as plain values."""
        return {
            "suspects": [one.to_dict() for one in self.found],
            "videos": self.videos,
            "unjudged": self.unjudged,
        }

    def write(self, path: str | Path) -> None:
        """Write a CSV row for each: video_id, label, suggested, score, confident, copy_of."""
        from framebank.store.files.kinds import refuse_own_file
        from framebank.store.files.replacing import replacing

        refuse_own_file(Path(path))
        with replacing(Path(path)) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Suspect.__dataclass_fields__)
            for one in self:
                told = "true" if one.confident else "false"
                writer.writerow((one.video_id, one.label, one.suggested, f"{one.score:.6g}", told, one.copy_of))

    def lines(self) -> list[str]:
        """Return a row for each of the first ones, and the counts."""
        return [*(table(*self._cells(), align="lllrll") if self.found else []), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [
            (one.video_id, one.label, one.suggested, f"{one.score:.3f}", "yes" * one.confident, one.copy_of)
            for one in self.found[:SHOWN]
        ]
        return ("video", "label", "likelier", "score", "confident", "copy of"), rows

    def _below(self) -> list[str]:
        more = [f"and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        left = f"; {self.unjudged} of classes with one source were not judged" if self.unjudged else ""
        confident = f", {sum(one.confident for one in self)} of them confident," if self.found else ""
        return [*more, f"{counted(len(self), 'suspect')}{confident} in {counted(self.videos, 'labelled video')}{left}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


@typed
def suspects(
    bank: "FeatureStore | str | Path", *, split: str = "all", copies: bool = True, watch: Watch = unwatched
) -> Suspects:
    """Find the videos of a split whose label may be wrong, from the rows of a store; no video is decoded.

    A ridge probe and ten neighbours judge each video by the others, in five folds in which the videos of one source
    stay together. A suspect is a video for which another label is likelier than its own; those that confident learning
    (Northcutt et al. 2021, arXiv 1911.00068) names too are `confident`. With `copies`, whole copies of one recording
    that have different labels are listed too, and come first. Look at a video before its label is changed: a rare one
    looks like this, too, and so do classes that the encoder hardly tells apart. DataError if videos have several
    labels, if there are fewer than two classes, or if no video can be judged.

    >>> import framebank as fb
    >>> fb.suspects("bank")[0]                                                                 # doctest: +SKIP
    Suspect(video_id='clip_017', label='waving', suggested='clapping', score=0.97, confident=True, copy_of='')
    """
    store = open_store(bank)
    videos = [video for video in store.split(split).labelled().videos if video.video_id in store]
    pooled = pooled_videos(store, [video.video_id for video in videos]) if videos else None
    kept = [videos[place] for place in pooled.places.tolist()] if pooled else []
    if pooled is None or not kept:
        raise DataError(f"{store.path}: holds no embedding of a labelled video of the split {split}")
    found = suspects_among(kept, pooled.vectors, where=store.path)
    if not copies:
        return found
    pairs = _copies_with_other_labels(store, {video.video_id: video for video in kept}, split=split, watch=watch)
    listed = {one.video_id: one for one in found}
    twins = [_of_pair(pair, listed, {video.video_id: video.label for video in kept}) for pair in pairs]
    first = {one.video_id: one for one in sorted(twins, key=lambda one: one.score)}
    rest = [one for one in found if one.video_id not in first]
    return replace(found, found=(*sorted(first.values(), key=lambda one: -one.score), *rest))


def suspects_among(videos: Sequence[Video], vectors: np.ndarray, *, where: object) -> Suspects:
    """Return the suspects among labelled videos with their unit vectors (V, D), the surest first; see `suspects`."""
    from framebank.heads.labelling.suspects import doubts, out_of_fold

    several = next((video for video in videos if len(video.labels) > 1), None)
    if several:
        raise DataError(
            f"{where}: {several.video_id!r} has several labels, {several.label!r}; expected one for each video to find "
            "suspects"
        )
    names = sorted({video.label for video in videos})
    if len(names) < 2:
        raise DataError(f"{where}: its labelled videos are all of one class; expected two or more to find suspects")
    place_of = {name: place for place, name in enumerate(names)}
    target = np.array([place_of[video.label] for video in videos])
    # without its label: a video with a wrong one stays with the others of its source
    groups = groups_of([replace(video, label="") for video in videos])
    probabilities = out_of_fold(vectors, target, groups)
    judged = ~np.isnan(probabilities).any(1)
    if not judged.any():
        raise DataError(f"{where}: every class has videos of one source only; expected two sources to judge by")
    best, share, confident = doubts(probabilities, target)
    order = [place for place in np.argsort(-share, kind="stable").tolist() if share[place] > LIKELIER]
    found = tuple(
        Suspect(
            videos[place].video_id, videos[place].label, names[best[place]], float(share[place]), bool(confident[place])
        )
        for place in order
    )
    return Suspects(found, int(judged.sum()), int((~judged).sum()))


def _copies_with_other_labels(
    store: "FeatureStore", videos: Mapping[str, Video], *, split: str, watch: Watch
) -> Iterator[DuplicatePair]:
    """The pairs of whole copies whose labels differ."""
    ids = list(videos)
    rows = dict(zip(ids, store.num_rows_of(ids).tolist(), strict=True))
    if sum(count >= LEAST_ROWS for count in rows.values()) < 2:
        return
    ends = dict(zip(ids, store.latest(ids, "timestamp")[0].tolist(), strict=True))
    for pair in duplicates(store, split=split, least=SURE, watch=watch):
        sides = (pair.a, pair.b)
        if not all(side.video_id in videos and rows[side.video_id] >= LEAST_ROWS for side in sides):
            continue
        lasts = [ends[side.video_id] - (videos[side.video_id].start or 0.0) for side in sides]
        whole = all(side.seconds >= SHARE * last for side, last in zip(sides, lasts, strict=True))
        if whole and videos[pair.a.video_id].label != videos[pair.b.video_id].label:
            yield pair


def _of_pair(pair: DuplicatePair, listed: Mapping[str, Suspect], labels: Mapping[str, str]) -> Suspect:
    """Which of two copies is the suspect: the one that is doubted more; its label is the other one's, rather."""
    doubt = {side: listed[side].score if side in listed else 0.0 for side in (pair.a.video_id, pair.b.video_id)}
    suspect, other = sorted(doubt, key=lambda side: (-doubt[side], side != pair.b.video_id))
    confident = suspect in listed and listed[suspect].confident
    return Suspect(suspect, labels[suspect], labels[other], pair.score, confident, other)
