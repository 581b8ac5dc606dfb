"""Episodes: which classes and which videos each few-shot task has."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from framebank.heads.fewshot.episode_groups import GroupedPool, draw_distinct, without_groups
from framebank.store.counts import counted
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.videos.groups import are_grouped
from framebank.store.videos.labels import class_text


@dataclass(frozen=True)
class Episodes:
    """E episodes over V videos of C classes.

    labels   (C,), the names, in the order that `classes` counts them
    classes  (E, N), which classes an episode has
    support  (E, N, K), positions of the videos that stand for each of them
    query    (E, Q), positions of the videos to recognise, none of which is in the support
    target   (E, Q), the column of `classes` that a query belongs to
    hash     changes with the videos, with their classes and with any episode, whatever order the videos came in
    undivided  the classes whose groups are too few to keep those of the support from the queries
    """

    labels: tuple[str, ...]
    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray
    target: np.ndarray
    hash: str
    undivided: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    def of_drawn(self) -> "tuple[np.ndarray, Episodes]":
        """Return the positions of the videos that are drawn, ascending, and the episodes over those videos alone."""
        drawn = np.unique(np.concatenate([self.support.ravel(), self.query.ravel()]))
        support, query = (np.searchsorted(drawn, videos) for videos in (self.support, self.query))
        return drawn, replace(self, support=support, query=query)

    @property
    def labels_hash(self) -> str:
        """A hash of the set of classes: the same for any order and spelling."""
        return _hash(sorted(map(class_text, self.labels)))


@dataclass(frozen=True)
class EpisodeSampler:
    """A sampler of episodes: N = `way` classes, with K = `shot` support videos and `query` queries of each.

    The same seed draws the same episodes from the same videos, for any matcher and in any order of the videos.
    """

    way: int = 5
    shot: int = 1
    query: int = 1
    episodes: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("way", "shot", "query", "episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")

    @property
    def facts(self) -> dict[str, Any]:
        """Return what decides the episodes, apart from the videos."""
        return asdict(self)

    def draw(
        self, video_ids: Sequence[str], labels: Sequence[str], groups: Sequence[int] | np.ndarray | None = None
    ) -> Episodes:
        """Draw from videos and the label of each. A video with the label "" has no label and is left out.

        No query of an episode shares a group with its support. `groups` has the number of each video's group, or is
        None if every video is its own group. DataError if there are fewer classes than `way`, or if a class has too few
        videos for both sides.
        """
        names, members = videos_by_class(video_ids, labels)
        if len(names) < self.way:
            have = counted(len(names), "class", "classes")
            raise DataError(f"an episode needs {counted(self.way, 'class', 'classes')}, but the videos have {have}")
        need = self.shot + self.query
        queries = counted(self.query, "query", "queries")
        _require(names, members, need, wanted=f"{counted(self.shot, 'support video')} and {queries}")
        generator = np.random.default_rng(self.seed)
        classes = draw_distinct(generator, np.full(self.episodes, len(names)), self.way)  # (E, N)
        sizes = np.array([len(own) for own in members])
        ends = sizes.cumsum()
        chosen = draw_distinct(generator, sizes[classes], need)  # (E, N, K + query)
        videos = np.concatenate(members)[chosen + (ends - sizes)[classes][..., None]]
        undivided: tuple[str, ...] = ()
        if groups is not None and are_grouped(np.asarray(groups)):
            pool = GroupedPool(members, np.asarray(groups), shot=self.shot, query=self.query)
            undivided = tuple(names[number] for number in pool.undivided)
            videos = pool.part(classes, videos, generator)
        return _episodes(
            names,
            video_ids,
            undivided=undivided,
            classes=classes,
            support=videos[..., : self.shot],
            query=videos[..., self.shot :].reshape(self.episodes, -1),  # (E, N, query) -> (E, Q)
            target=np.tile(np.arange(self.way).repeat(self.query), (self.episodes, 1)),
        )


@dataclass(frozen=True)
class AllWaySampler:
    """A sampler of episodes with all classes: `draws` times, `shot` of the videos in `support` for each class.

    The queries are all other videos; they are the same in every draw.
    """

    support: frozenset[str]
    shot: int
    draws: int = 3
    seed: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """Return what decides the episodes, apart from the videos."""
        drawn = {"shot": self.shot, "episodes": self.draws, "seed": self.seed}
        return {"way": 0, **drawn, "support_videos": len(self.support)}

    def draw(
        self, video_ids: Sequence[str], labels: Sequence[str], groups: Sequence[int] | np.ndarray | None = None
    ) -> Episodes:
        """Draw from videos and the label of each. A video with the label "" has no label and is left out.

        A support video that shares a group with a query is left out too, unless a class has too few others. `groups` is
        as in EpisodeSampler. DataError if there is no query, or if a query's class has too few support videos.
        """
        is_support = [video_id in self.support for video_id in video_ids]
        named = list(zip(labels, is_support, strict=True))
        names, queries = videos_by_class(video_ids, ["" if support else label for label, support in named])
        if not names:
            raise DataError("beside the support videos there is no labelled video to recognise")
        theirs = videos_by_class(video_ids, [label if support else "" for label, support in named])
        by_text = {class_text(name): own for name, own in zip(*theirs, strict=True)}
        members = [by_text.get(class_text(name), np.zeros(0, dtype=np.int64)) for name in names]
        _require(names, members, self.shot, wanted=counted(self.shot, "support video"))
        undivided: tuple[str, ...] = ()
        if groups is not None:
            members, places = without_groups(members, np.asarray(groups), of=np.concatenate(queries), least=self.shot)
            undivided = tuple(names[place] for place in places)
        sizes = np.array([len(own) for own in members])
        generator = np.random.default_rng(self.seed)
        chosen = draw_distinct(generator, np.tile(sizes, (self.draws, 1)), self.shot)  # (draws, C, K)
        target = np.arange(len(names)).repeat([len(own) for own in queries])
        return _episodes(
            names,
            video_ids,
            undivided=undivided,
            classes=np.tile(np.arange(len(names)), (self.draws, 1)),
            support=np.concatenate(members)[chosen + (sizes.cumsum() - sizes)[:, None]],
            query=np.tile(np.concatenate(queries), (self.draws, 1)),
            target=np.tile(target, (self.draws, 1)),
        )


def videos_by_class(video_ids: Sequence[str], labels: Sequence[str]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Return the classes, and the positions of each class's videos. Both orders depend on names only."""
    members: dict[str, list[int]] = {}
    names: dict[str, str] = {}
    for position in sorted(range(len(video_ids)), key=lambda position: video_ids[position]):
        text = class_text(labels[position])
        if text:
            names.setdefault(text, labels[position])
            members.setdefault(text, []).append(position)
    order = sorted(members)
    return tuple(names[text] for text in order), [np.array(members[text]) for text in order]


def _require(names: Sequence[str], members: Sequence[np.ndarray], need: int, *, wanted: str) -> None:
    short = [(name, len(own)) for name, own in zip(names, members, strict=True) if len(own) < need]
    if short:
        name, there = short[0]
        others = f", and {counted(len(short) - 1, 'other class', 'other classes')} too few" if len(short) > 1 else ""
        raise DataError(
            f"each class needs {wanted}, but {name!r} has {counted(there, 'video')}{others}; expected {need} or more"
        )


def _episodes(
    names: tuple[str, ...], video_ids: Sequence[str], *, undivided: tuple[str, ...], **arrays: np.ndarray
) -> Episodes:
    """Return the episodes with their hash. The hash counts videos in the order of their names, not of the store."""
    order = np.argsort(np.array(video_ids))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    numbers = {"support": rank[arrays["support"]], "query": rank[arrays["query"]]}
    whole = _hash([*sorted(video_ids), *names, digest({name: own.astype("<i8") for name, own in numbers.items()})])
    return Episodes(names, **arrays, hash=whole, undivided=undivided)


def _hash(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=6).hexdigest()
