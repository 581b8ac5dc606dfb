"""Thresholds: the cosine from which a video passes, for each enrolled class of an index and for its votes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import require_share
from framebank.library.table import html_table, table
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.labelling.calibrate import ThresholdSource
    from framebank.heads.labelling.enroll import Enrolled
    from framebank.store import FeatureStore
    from framebank.store.indexes.index import Index

HEADER = ("class", "examples", "others", "threshold")


@dataclass(frozen=True, repr=False)
class Thresholds:
    """The thresholds of an index, as cosines. It prints as the command `calibrate` does.

    `classes` are the enrolled classes, each with its `threshold`. `nearest` is the threshold of the votes, which the
    nearest of the index's own videos has to pass. A threshold is None if too few videos could set it. `source` says
    what set them, and `share` which share of the videos of other classes may pass. `is_set` is false if nothing is
    enrolled and no held-out videos set thresholds: then the votes always pass.
    """

    path: Path
    share: float
    classes: tuple["Enrolled", ...]
    nearest: float | None
    num_nearest: int
    source: "ThresholdSource"
    is_set: bool

    @classmethod
    def of(cls, path: Path, index: "Index") -> "Thresholds":
        """Return the thresholds of the index in the folder `path`."""
        from framebank.heads.labelling.calibrate import source_of
        from framebank.heads.labelling.enroll import describe

        enrolment, source = index.enrolment, source_of(index)
        return cls(
            path,
            source.share,
            tuple(describe(index, label) for label in enrolment.labels),
            enrolment.nearest,
            len(enrolment.nearest_others),
            source,
            not enrolment.is_empty,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {
            "index": str(self.path),
            "thresholds": asdict(self.source) if self.is_set else None,
            "classes": [asdict(made) for made in self.classes],
            "nearest": self.nearest,
        }

    def lines(self) -> list[str]:
        """Return the table of the thresholds, and what set them."""
        if not self.is_set:
            return self._below()
        return [*table(HEADER, self._rows()), *self._below()]

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (made.label, f"{made.num_enrolled + made.num_own}", f"{made.num_others}", _shown(made.threshold))
            for made in self.classes
        ]
        return [*rows, ("votes, by the nearest video", "", f"{self.num_nearest}", _shown(self.nearest))]

    def _below(self) -> list[str]:
        from framebank.heads.labelling.calibrate import fewest

        if not self.is_set:
            return [
                f"{self.path} has no thresholds now: no class is enrolled, and `label` always answers with the votes "
                "of videos"
            ]
        share = f"at most {100 * self.share:g} % of the others should pass each"
        lines = [f"thresholds of {self.path} are set by {self.source}: {share}"]
        if self.nearest is None or any(made.threshold is None for made in self.classes):
            lines.append(
                f"a threshold needs at least {fewest(self.share)} others; without one, a class passes if the video is "
                "nearer than any video of the index, and votes always pass"
            )
        return lines

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(HEADER, self._rows() if self.is_set else [], below=self._below())


def set_thresholds(
    path: Path,
    index: "Index",
    bank: "FeatureStore | str | Path | None" = None,
    split: str | None = None,
    *,
    share: float,
    device: str,
) -> "Index":
    """Set the thresholds of the index in a folder by a split of a store, or by its own videos. Return the index.

    `SearchIndex.calibrate` says what is refused.
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.labelling.calibrate import calibrate, held_out
    from framebank.library.stores import open_store
    from framebank.store.indexes.enrolment import Calibration

    require_share("share", share)
    if split and bank is None:
        raise DataError(f"the split {split!r} is given without a store; expected the store that it is a split of")
    calibration = Calibration(share)
    if bank is not None:
        store = open_store(bank)
        split = store.manifest.split_named(split or "val")
        calibration = held_out(
            index, store, store.split(split), split=split, share=share, device=resolve_device(device), where=path
        )
    return calibrate(path, calibration, index=index)


def _shown(threshold: float | None) -> str:
    return "none" if threshold is None else f"{threshold:.3f}"
