"""Groups in episodes: the support and the queries of one episode have no group in common."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

# How often episodes with a group on both sides are drawn again, before they are put together group by group.
REDRAWS = 10
EPISODES_AT_ONCE = 1000


def draw_distinct(generator: np.random.Generator, sizes: np.ndarray, count: int) -> np.ndarray:
    """Draw `count` different numbers below each size, in random order: sizes (...) -> (..., count).

    Each number is drawn among those that are left and then moved past the taken ones, so no full permutation is made.
    """
    drawn = np.empty((*sizes.shape, count), dtype=np.int64)
    for number in range(count):
        taken = np.sort(drawn[..., :number], axis=-1)
        value = generator.integers(0, sizes - number)
        for place in range(number):
            value += value >= taken[..., place]
        drawn[..., number] = value
    return drawn


class GroupedPool:
    """The videos of each class. Episodes take `shot` of them for support and `query` from other groups.

    `members` has the places of each class's videos. `groups` (V,) has the group of every video.
    """

    def __init__(self, members: Sequence[np.ndarray], groups: np.ndarray, *, shot: int, query: int) -> None:
        self.members, self.groups = members, groups
        self.shot, self.query = shot, query

    @cached_property
    def undivided(self) -> tuple[int, ...]:
        """The classes whose groups cannot be divided between the two sides; this rule leaves them out."""
        return tuple(number for number, own in enumerate(self.members) if not self._can_part(self.groups[own]))

    def part(self, classes: np.ndarray, videos: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw the episodes that share a group again: classes (E, N) and videos (E, N, K + query), both as places.

        An episode that shares no group stays as it is. Classes that cannot be divided take no part.
        """
        videos = videos.copy()
        sizes = np.array([len(own) for own in self.members])
        starts, every = sizes.cumsum() - sizes, np.concatenate(self.members)
        free = ~np.isin(classes, self.undivided)  # (E, N)
        bad = self._shared(videos, free)
        for _ in range(REDRAWS):
            if not len(bad):
                return videos
            of = classes[bad]
            drawn = every[draw_distinct(generator, sizes[of], self.shot + self.query) + starts[of][..., None]]
            videos[bad] = np.where(free[bad][..., None], drawn, videos[bad])
            bad = bad[self._shared(videos[bad], free[bad])]
        for episode in bad.tolist():
            self._put_together(classes[episode], videos[episode], free[episode], generator)
        return videos

    def _shared(self, videos: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return the places of the episodes with a group on both sides: videos (E, N, K + query), free (E, N)."""
        found = []
        for start in range(0, len(videos), EPISODES_AT_ONCE):
            chosen, own = videos[start : start + EPISODES_AT_ONCE], free[start : start + EPISODES_AT_ONCE]
            groups = np.where(own[..., None], self.groups[chosen], -1)
            support = groups[..., : self.shot].reshape(len(chosen), -1, 1)
            query = groups[..., self.shot :].reshape(len(chosen), 1, -1)
            found.append(start + np.flatnonzero(((support == query) & (support >= 0)).any((1, 2))))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def _put_together(
        self, classes: np.ndarray, videos: np.ndarray, free: np.ndarray, generator: np.random.Generator
    ) -> None:
        """Choose the groups of each class's queries, then the support among the other groups: videos (N, K + query).

        A group that several classes have may still be on both sides, if there is no other choice.
        """
        for slot in np.flatnonzero(free).tolist():
            own = self.members[classes[slot]]
            query, support = _share_out(self.groups[own], self.shot, self.query, generator)
            videos[slot] = own[[*support, *query]]

    def _can_part(self, groups: np.ndarray) -> bool:
        """Return whether the groups can be divided between queries and support: some sum of sizes is in a range."""
        total, sizes = len(groups), np.unique(groups, return_counts=True)[1].tolist()
        sums = 1  # bit n is set if some groups together have n videos
        for size in sizes:
            sums |= sums << size
        return any(sums >> taken & 1 for taken in range(self.query, total - self.shot + 1))


def without_groups(
    members: Sequence[np.ndarray], groups: np.ndarray, *, of: np.ndarray, least: int
) -> tuple[list[np.ndarray], list[int]]:
    """Return the videos of each class without those in a group of the videos `of`, and the classes that keep them.

    A class keeps them if it would have fewer than `least` videos without them.
    """
    theirs = np.unique(groups[of])
    kept, undivided = [], []
    for number, own in enumerate(members):
        others = own[~np.isin(groups[own], theirs)]
        if len(others) < least:
            undivided.append(number)
        kept.append(own if len(others) < least else others)
    return kept, undivided


def _share_out(
    groups: np.ndarray, shot: int, query: int, generator: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Return places of groups (V,) for the queries and for the support, with no group in common.

    `_can_part` has checked that this is possible.
    """
    while True:
        order = generator.permutation(np.unique(groups))
        count = int(generator.integers(1, len(order)))
        inside = np.isin(groups, order[:count])
        if inside.sum() >= query and (~inside).sum() >= shot:
            return (
                generator.choice(np.flatnonzero(inside), query, replace=False).tolist(),
                generator.choice(np.flatnonzero(~inside), shot, replace=False).tolist(),
            )
