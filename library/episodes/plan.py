"""Which videos take part in a few-shot evaluation, and the sampler of its episodes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import Naming
from framebank.store.counts import counted
from framebank.store.errors import warn

if TYPE_CHECKING:
    from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
    from framebank.store import Manifest


def with_class_splits(manifest: "Manifest", files: Sequence[str | Path], *, where: Path) -> "tuple[Manifest, str]":
    """Return the videos of the store `where` in the splits that files give their classes, and the hash of the splits.

    A DataWarning says what the files contain. DataError if they name no class of the store.
    """
    from framebank.store import DataError
    from framebank.store.videos.class_splits import read_class_splits

    splits = read_class_splits([Path(file) for file in files])
    try:
        found, notes = splits.over(manifest)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    for note in notes:
        warn(note)
    return found, splits.hash


def clash(plan: Mapping[str, Any], named: Naming) -> str:
    """Return which arguments of an evaluation exclude each other, or "" if none do. `named` writes an argument."""
    way, split, files = plan["way"], plan["support_split"], plan["support_list"]
    if way == 1:
        return f"{named('way')} is 1, so there is no other class to confuse it with; expected 2 or more, or 0 for all"
    if way and (split or files):
        both = f"{named('support_split')} and {named('support_list')}"
        return f"{both} are for {named('way')} 0; other episodes draw both sides"
    if plan["query"] and not way:
        return f"{named('query')} is not for {named('way')} 0, which recognises every video of the split"
    if files and split:
        return f"{named('support_split')} and {named('support_list')} are both given; expected one of them"
    return ""


def plan_episodes(
    manifest: "Manifest",
    split: str,
    *,
    way: int,
    shot: int,
    query: int | None,
    episodes: int | None,
    seed: int,
    support_split: str | None,
    support_list: str | Path | None,
) -> "tuple[Manifest, EpisodeSampler | AllWaySampler]":
    """Return the videos that take part, and the sampler of their episodes.

    The arguments must have passed `clash`. DataError if a support list has another number of shots, or if a video would
    be on both sides.
    """
    from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
    from framebank.store import DataError, Manifest

    queries = manifest.split(split).labelled()
    if way:
        return queries, EpisodeSampler(way, shot, query or 1, episodes or 10_000, seed)
    if support_list:
        listed, notes = manifest.with_splits([Path(support_list)])
        for note in notes:
            warn(note)
        support = Manifest(tuple(video for video in listed.videos if video.split)).labelled()
        counts = Counter(video.label for video in support.videos)
        odd = next((name for name in support.labels if counts[name] != shot), None)
        if odd:
            raise DataError(
                f"{support_list}: lists {counted(counts[odd], 'video')} of {odd!r}; expected {shot}, as many as shots"
            )
        episodes = episodes or 1
    else:
        try:
            support = manifest.split(support_split or "train").labelled()
        except DataError as error:
            raise DataError(
                f"the support videos: {error}; expected support_split (--support-split) or support_list "
                "(--support-list)"
            ) from error
    ids = frozenset(video.video_id for video in support.videos)
    both = next((video.video_id for video in queries.videos if video.video_id in ids), None)
    if both:
        raise DataError(
            f"{both!r} is both a support video and a video to recognise; expected two splits that share no video"
        )
    both_sides = Manifest((*support.videos, *queries.videos))
    return both_sides, AllWaySampler(ids, shot, episodes or 3, seed)
