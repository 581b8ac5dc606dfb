"""Which videos take part in a few-shot evaluation, and what draws its episodes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
    from framebank.store import Manifest


def with_class_splits(manifest: "Manifest", files: Sequence[Path], *, where: Path) -> "tuple[Manifest, str]":
    """Return the videos of the store `where`, in the splits that files give to their classes, and the hash of these
    splits.

    A summary of the files goes to stderr. DataError if they name no class of the store.
    """
    from framebank.store import DataError
    from framebank.store.videos.class_splits import read_class_splits

    splits = read_class_splits(files)
    try:
        found, notes = splits.over(manifest)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    for note in notes:
        click.echo(note, err=True)
    return found, splits.hash


def require_plan(
    *, way: int, query: int | None, support_split: str | None, support_list: Path | None, **others: object
) -> None:
    """Refuse options that exclude each other: wrong usage."""
    if way == 1:
        raise click.UsageError(
            "--way is 1, so there is no other class to confuse it with; expected 2 or more, or 0 for all"
        )
    if way and (support_split or support_list):
        raise click.UsageError(
            "--support-split and --support-list are for --way 0; other episodes draw support and queries from one split"
        )
    if query and not way:
        raise click.UsageError("--query is not for --way 0, which recognises every video of the split")
    if support_list and support_split:
        raise click.UsageError("--support-split and --support-list are both given; expected one of them")


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
    support_list: Path | None,
) -> "tuple[Manifest, EpisodeSampler | AllWaySampler]":
    """Return the videos that take part, and what draws episodes of them.

    The options are those that `require_plan` accepts. DataError if a support list has another number of shots, or a
    video would be on both sides.
    """
    from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
    from framebank.store import DataError, Manifest

    queries = manifest.split(split).labelled()
    if way:
        return queries, EpisodeSampler(way, shot, query or 1, episodes or 10_000, seed)
    if support_list:
        listed, notes = manifest.with_splits([support_list])
        click.echo("\n".join(notes), err=True)
        support = Manifest(tuple(video for video in listed.videos if video.split)).labelled()
        counts = Counter(video.label for video in support.videos)
        odd = next((name for name in support.labels if counts[name] != shot), None)
        if odd:
            raise DataError(
                f"{support_list}: lists {counted(counts[odd], 'video')} of {odd!r}; expected {shot}, as --shot says"
            )
        episodes = episodes or 1
    else:
        try:
            support = manifest.split(support_split or "train").labelled()
        except DataError as error:
            raise DataError(f"the support videos: {error}; expected --support-split or --support-list") from error
    ids = frozenset(video.video_id for video in support.videos)
    both = next((video.video_id for video in queries.videos if video.video_id in ids), None)
    if both:
        raise DataError(
            f"{both!r} is both a support video and a video to recognise; expected two splits that share no video"
        )
    both_sides = Manifest((*support.videos, *queries.videos))
    return both_sides, AllWaySampler(ids, shot, episodes or 3, seed)
