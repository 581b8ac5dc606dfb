"""Draws: choose some videos of each class, by seed; videos of one group are never on both sides."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.videos.groups import are_grouped, groups_of
from framebank.store.videos.video import Video

# A class with fewer videos than this keeps all of them for training.
FEWEST_TO_HOLD_OUT = 5


def draw_shots(videos: Sequence[Video], shots: int, *, seed: int) -> tuple[Video, ...]:
    """Return `shots` videos of each class, from different groups if the class has enough.

    DataError naming a class that has fewer.
    """
    generator = np.random.default_rng(seed)
    groups = groups_of(videos)
    chosen: list[Video] = []
    for label, members in members_by_class(videos).items():
        if len(members) < shots:
            raise DataError(
                f"{counted(shots, 'shot')} of each class wanted, but {label!r} has "
                f"{counted(len(members), 'training video')}"
            )
        own = groups[members]
        if are_grouped(own):
            drawn = _spread(own, shots, generator)
        else:
            drawn = generator.choice(len(members), shots, replace=False).tolist()
        chosen += [videos[members[place]] for place in sorted(drawn)]
    return tuple(chosen)


def draw_held_out(
    videos: Sequence[Video], fraction: float, *, seed: int, groups: np.ndarray | None = None
) -> list[bool]:
    """Return which videos are held out: about `fraction` of each class, and only whole groups.

    At least one of each class with five or more, but never all of a class: none of a class whose videos are all of one
    group. Where videos have several labels, `fraction` of the videos, but never the last one of a class. `groups` (V,)
    are those that the videos have among others, or else `groups_of` them alone.
    """
    generator = np.random.default_rng(seed)
    groups = groups_of(videos) if groups is None else groups
    held = np.zeros(len(videos), dtype=bool)
    if any(len(video.labels) > 1 for video in videos):
        _hold_out_of_several(videos, groups, held, round(fraction * len(videos)), generator)
    elif are_grouped(groups):
        _hold_out_groups(videos, groups, held, fraction, generator)
    else:
        for members in members_by_class(videos).values():
            count = _share(len(members), fraction)
            held[[members[place] for place in generator.choice(len(members), count, replace=False)]] = True
    return held.tolist()


def members_by_class(videos: Sequence[Video]) -> dict[str, list[int]]:
    """Return the places of the videos of each class, the classes sorted; one of several labels is in each of them."""
    members: dict[str, list[int]] = {}
    for place, video in enumerate(videos):
        for label in video.labels:
            members.setdefault(label, []).append(place)
    return dict(sorted(members.items()))


def _share(count: int, fraction: float) -> int:
    share = min(max(1, round(fraction * count)), count - 1)
    return share if count >= FEWEST_TO_HOLD_OUT and fraction > 0 else 0


def _spread(groups: np.ndarray, count: int, generator: np.random.Generator) -> list[int]:
    """Draw places (count of them) of groups (N,): one of each group in random order, then a second of each, ..."""
    rounds: defaultdict[int, int] = defaultdict(int)
    order: list[tuple[int, int, int]] = []
    for place in generator.permutation(len(groups)).tolist():
        group = int(groups[place])
        order.append((rounds[group], len(order), place))
        rounds[group] += 1
    return [place for _, _, place in sorted(order)[:count]]


def _hold_out_groups(
    videos: Sequence[Video], groups: np.ndarray, held: np.ndarray, fraction: float, generator: np.random.Generator
) -> None:
    """Hold out groups of one class after the other, those in random order that bring it nearer to its share."""
    by_class = members_by_class(videos)
    of_group = _members_of(groups)
    sizes = {group: Counter(videos[place].label for place in own) for group, own in of_group.items()}
    taken: Counter[str] = Counter()
    for label, members in by_class.items():
        wanted = _share(len(members), fraction)
        order: list[int] = list(dict.fromkeys(groups[members][generator.permutation(len(members))].tolist()))
        free = [group for group in order if not held[of_group[group][0]]]

        def spares_all(group: int) -> bool:
            return all(taken[name] + count < len(by_class[name]) for name, count in sizes[group].items() if name)

        for group in free:
            if sizes[group][label] < 2 * (wanted - taken[label]) and spares_all(group):
                held[of_group[group]] = True
                taken.update(sizes[group])
        smallest = sorted((group for group in free if spares_all(group)), key=lambda group: sizes[group][label])
        if wanted and not taken[label] and smallest:
            held[of_group[smallest[0]]] = True
            taken.update(sizes[smallest[0]])


def _hold_out_of_several(
    videos: Sequence[Video], groups: np.ndarray, held: np.ndarray, count: int, generator: np.random.Generator
) -> None:
    left = Counter(label for video in videos for label in video.labels)
    of_group = list(_members_of(groups).values())
    number = 0
    for place in generator.permutation(len(of_group)).tolist():
        own = of_group[place]
        labels = Counter(label for member in own for label in videos[member].labels)
        if len(own) < 2 * (count - number) and all(left[label] > theirs for label, theirs in labels.items()):
            held[own] = True
            number += len(own)
            left.subtract(labels)


def _members_of(groups: np.ndarray) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(place)
    return members
