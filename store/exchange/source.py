"""Source: features that another program wrote: a list of videos, and a way to read each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import Video

OF_WINDOWS = ("window_start", "window_end")  # how exports call the seconds of the first and the last frame of a row


@dataclass(frozen=True)
class RawFrames:
    """One video as found: values (T, D), (D,) or (T, ...); what the layout does not give is None."""

    values: np.ndarray
    timestamps: np.ndarray | None = None  # (T,) seconds
    indices: np.ndarray | None = None  # (T,)
    views: np.ndarray | None = None
    clips: np.ndarray | None = None
    windows: np.ndarray | None = None  # (T, 2) seconds of the first and the last frame of a row


@dataclass(frozen=True)
class Source:
    """The videos, what reads one (an exception where it cannot be read), and what made them where that is known.

    `not_taken` counts the files of a folder that are left out, by reason.
    """

    manifest: Manifest
    read: Callable[[Video], RawFrames]
    spec: FeatureSpec | None = None
    notes: tuple[str, ...] = ()
    not_taken: Mapping[str, int] = field(default_factory=dict)  # reason -> number of files


@dataclass(frozen=True)
class Names:
    """The names of the arrays of a file; None looks for the usual names."""

    array: str | None = None
    ids: str | None = None
    label: str | None = None
    classes: str | None = None
    split: str | None = None
    split_values: tuple[str, ...] = ()
    end: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of a file for its V videos, each (V,) strings; an empty list means that there is none.

    `extra` are columns of the user, by name, with "" for an empty cell.
    """

    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    def manifest(self, path: Path, count: int) -> Manifest:
        """Return the videos, numbered if they have no ids; DataError if a column has another length."""
        told = {"ids": self.ids, "labels": self.labels, "splits": self.splits, "groups": self.groups, **self.extra}
        for name, values in told.items():
            if values and len(values) != count:
                raise DataError(f"{path}: holds {counted(count, 'video')}, but {counted(len(values), name[:-1])}")
        width = len(str(count - 1))
        ids = self.ids or [f"{number:0{width}d}" for number in range(count)]
        labels, splits, groups = (values or [""] * count for values in (self.labels, self.splits, self.groups))
        cells = zip(*self.extra.values(), strict=True) if self.extra else [()] * count
        extra = (tuple((name, cell) for name, cell in zip(self.extra, row, strict=True) if cell) for row in cells)
        rows = zip(ids, labels, splits, groups, extra, strict=True)
        where = path.absolute()
        return Manifest(tuple(Video(i, where, la, split, group=gr, extra=more) for i, la, split, gr, more in rows))
