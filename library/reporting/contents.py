"""Contents of a store for its report: what is in it, how its classes and splits are filled, and what failed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framebank.store.counts import counted
from framebank.store.features import FeatureStore
from framebank.store.ledger import Failure
from framebank.store.videos.video import labels_in

LISTED = 300  # failures that are named one by one
NUMBERS = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class ClassBalance:
    """How many videos of a class are in each split of the store, in the order of its splits, and how many failed."""

    label: str
    counts: tuple[int, ...]

    @property
    def videos(self) -> int:
        """All its videos."""
        return sum(self.counts)


@dataclass(frozen=True)
class FailureReason:
    """Videos that failed alike: what their reasons have in common, how many they are, and one of them."""

    reason: str
    videos: int
    example: str


@dataclass(frozen=True)
class StoreContents:
    """What a store holds: `videos` with an embedding of `listed`, its splits, classes, decoders and failures."""

    videos: int
    listed: int
    facts: tuple[tuple[str, str], ...]
    splits: tuple[tuple[str, int], ...]
    unlabelled: int
    balance: tuple[ClassBalance, ...]
    decoders: tuple[tuple[str, int], ...]
    reasons: tuple[FailureReason, ...]
    failures: tuple[Failure, ...]
    failed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "videos": self.videos,
            "listed": self.listed,
            "splits": dict(self.splits),
            "classes": len(self.balance),
            "unlabelled": self.unlabelled,
            "decoders": dict(self.decoders),
            "failed": self.failed,
        }

    @property
    def headline(self) -> str:
        """What the store is, in one sentence."""
        named = [(name, count) for name, count in self.splits if name]
        splits = f": {', '.join(f'{count:,} {name}' for name, count in named)}" if named else ""
        failed = f"; {self.failed:,} failed" if self.failed else ""
        of = f"of {counted(len(self.balance), 'class', 'classes')}" if self.balance else "without a label"
        return f"{self.videos:,} video{'s' * (self.videos != 1)} {of}{splits}{failed}."


def contents_of(store: FeatureStore) -> StoreContents:
    """Return what a store holds. Classes and splits count the videos that have an embedding."""
    columns = store.manifest.columns
    held = [place for place, video_id in enumerate(columns.ids) if video_id in store]
    splits = Counter(columns.splits[place] for place in held)
    names = sorted(splits, key=lambda name: (-splits[name], name))
    tallies: dict[str, Counter[str]] = {}
    unlabelled = 0
    for place in held:
        labels = labels_in(columns.labels[place])
        unlabelled += not labels
        for label in labels:
            tallies.setdefault(label, Counter())[columns.splits[place]] += 1
    balance = [ClassBalance(label, tuple(own[name] for name in names)) for label, own in tallies.items()]
    failures = store.failures
    return StoreContents(
        videos=len(store),
        listed=len(columns),
        facts=tuple(_facts(store)),
        splits=tuple((name, splits[name]) for name in names),
        unlabelled=unlabelled,
        balance=tuple(sorted(balance, key=lambda one: (-one.videos, one.label))),
        decoders=tuple(Counter(store.decoders.values()).most_common()),
        reasons=_reasons(failures),
        failures=tuple(failures[:LISTED]),
        failed=len(failures),
    )


def _facts(store: FeatureStore) -> list[tuple[str, str]]:
    spec = store.spec
    return [
        ("Store", str(store.path)),
        ("Rows", f"{store.num_rows:,} of {spec.dim} values, streams {', '.join(store.streams)}"),
        ("Encoder", f"{spec.encoder}, {spec.precision}"),
        ("Frames", f"{spec.sampling}, {spec.view}, {spec.pixels} pixels"),
        ("Preprocessing", _readable(spec.preprocessing)),
    ]


def _readable(preprocessing: str) -> str:
    """What the encoder does to a picture, without the marks of JSON."""
    return re.sub(r"[{}\"]", "", preprocessing)


def _reasons(failures: Sequence[Failure]) -> tuple[FailureReason, ...]:
    """Gather failures whose reasons differ only in the video and in numbers, the most frequent first."""
    found: dict[str, list[str]] = {}
    for failure in failures:
        told = failure.reason.replace(failure.path, "the file").replace(repr(failure.video_id), "the video")
        found.setdefault(NUMBERS.sub("N", told), []).append(failure.video_id)
    reasons = [FailureReason(reason, len(ids), ids[0]) for reason, ids in found.items()]
    return tuple(sorted(reasons, key=lambda one: -one.videos))
