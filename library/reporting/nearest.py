"""Near-duplicates of a report: videos of different splits that show the same, which make a test easier than it says."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framebank.heads.copies.across import LEAST_ROWS, copies_across
from framebank.heads.training.run import Run
from framebank.library.reporting.rows import drawn
from framebank.library.reporting.sections import NothingToShowError
from framebank.store.features import FeatureStore

SHOWN = 60  # pairs in the list
MOST = 14_000  # videos on each side: the cosines of all pairs are as many as `evenly` allows


@dataclass(frozen=True)
class NearPair:
    """Two videos of different splits, by their ids, and how sure it is that they show the same, from 0 to 1."""

    first: str
    second: str
    first_split: str
    second_split: str
    score: float


@dataclass(frozen=True)
class NearPairs:
    """Videos with a near-copy in another split: the surest pairs, the number of these videos (`alike`).

    `compared` of `listed` videos were compared.
    """

    pairs: tuple[NearPair, ...]
    alike: int
    compared: int
    listed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {"alike": self.alike, "compared": self.compared, "listed": self.listed}


def near_pairs_between(
    store: FeatureStore, asked: Sequence[str], others: Sequence[str], *, splits: tuple[str, str], listed: int
) -> NearPairs:
    """Return which of the videos `asked` have a near-copy among `others`, as the warning of `evaluate` finds them.

    `listed` is how many videos there are, if some were drawn. NothingToShowError if no video has rows enough to be
    compared.
    """
    compared = _compared(store, [*asked, *others])
    found = copies_across(store, asked, others)
    pairs = [NearPair(first, second, *splits, score) for first, second, score in found]
    return NearPairs(tuple(pairs[:SHOWN]), len(pairs), len(compared.intersection(asked)), listed)


def near_pairs_of_run(run: Run, store: FeatureStore, measured: Sequence[str], *, split: str) -> NearPairs:
    """Return which of the videos that a run was measured on, those of `split`, have a near-copy where it was trained.

    Of many videos, some are drawn. NothingToShowError if the training videos are not known, or if a measured one is
    among them.
    """
    learned = [video_id for video_id in run.videos_in(store) if video_id in store]
    if not learned:
        raise NothingToShowError(f"{store.path}: it is not known which of its videos the run was trained on")
    if both := set(learned).intersection(measured):
        raise NothingToShowError(f"the run was trained on {len(both)} of the measured videos")
    splits = split, str(run.trained_on.get("split") or "train")
    asked, others = ([ids[row] for row in drawn(len(ids), most=MOST)] for ids in (measured, learned))
    return near_pairs_between(store, asked, others, splits=splits, listed=len(measured))


def near_pairs_across(store: FeatureStore, split_of: Mapping[str, str], *, listed: int) -> NearPairs:
    """Return which videos that are not in the largest split have a near-copy in another one.

    NothingToShowError if all videos are in one split, or if no video has rows enough to be compared.
    """
    sizes = Counter(split_of.values())
    if len(sizes) < 2:
        raise NothingToShowError("all videos are in one split")
    compared = _compared(store, split_of)
    largest = max(sizes, key=lambda name: (sizes[name], name))
    nearest: dict[frozenset[str], NearPair] = {}
    for name in sizes:
        if name != largest:
            asked = [video_id for video_id, own in split_of.items() if own == name]
            others = [video_id for video_id, own in split_of.items() if own != name]
            for first, second, score in copies_across(store, asked, others):
                pair = NearPair(first, second, name, split_of[second], score)
                nearest.setdefault(frozenset((first, second)), pair)
    pairs = sorted(nearest.values(), key=lambda pair: -pair.score)
    asked_ids = [video_id for video_id, own in split_of.items() if own != largest]
    return NearPairs(tuple(pairs[:SHOWN]), len(pairs), len(compared.intersection(asked_ids)), listed)


def _compared(store: FeatureStore, ids: Iterable[str]) -> set[str]:
    """The videos that have rows enough; NothingToShowError if there are none."""
    names = list(ids)
    counts = store.num_rows_of(names).tolist()
    found = {name for name, count in zip(names, counts, strict=True) if count >= LEAST_ROWS}
    if not found:
        raise NothingToShowError(f"no video has {LEAST_ROWS} rows or more, which a comparison needs")
    return found
