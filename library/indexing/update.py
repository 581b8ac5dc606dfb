"""IndexUpdate: an index that was updated to its store, and what had changed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.indexing.about import index_facts, index_lines
from framebank.library.table import html_lines
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore
    from framebank.store.indexes.index import Index
    from framebank.store.indexes.origin import Difference


@dataclass(frozen=True, repr=False)
class IndexUpdate:
    """An index as it now is. `difference` says how its store differed from what the index held before.

    It prints as `framebank index --update` does.
    """

    path: Path
    index: "Index"
    difference: "Difference"

    def to_dict(self) -> dict[str, Any]:
        """Return the index, its thresholds and what had changed, as plain values."""
        from framebank.heads.labelling.calibrate import source_of

        enrolment, empty = self.index.enrolment, self.index.enrolment.is_empty
        return {
            **index_facts(self.path, self.index),
            **{name: getattr(self.difference, name) for name in self.difference.counts},
            "enrolled": len(enrolment),
            "thresholds": None if empty else {**enrolment.thresholds},
            "nearest": enrolment.nearest,
            "set_by": None if empty else asdict(source_of(self.index)),
        }

    def lines(self) -> list[str]:
        """Return what had changed, what was kept, and the index as it now is, as lines."""
        return [f"{self.path}: {self.difference}", *self._kept(), *index_lines(self.path, self.index)]

    def _kept(self) -> list[str]:
        """Return what was enrolled and calibrated, with the present thresholds."""
        from framebank.heads.labelling.calibrate import source_of

        enrolment = self.index.enrolment
        if enrolment.is_empty:
            return []
        shown = ", ".join(
            f"{label} {'without a threshold' if threshold is None else f'{threshold:.3f}'}"
            for label, threshold in enrolment.thresholds.items()
        )
        classes = [f"kept {counted(len(enrolment.labels), 'enrolled class', 'enrolled classes')}: {shown}"]
        is_set = any(threshold is not None for threshold in (enrolment.nearest, *enrolment.thresholds.values()))
        again = [f"thresholds are set again, by {source_of(self.index)}"] * is_set
        return [*classes * bool(enrolment.labels), *again]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_lines(self.lines())


def update_index(
    path: str | Path,
    bank: "FeatureStore | str | Path | None" = None,
    *,
    split: str | None = None,
    run: "Run | None" = None,
    run_path: str | Path | None = None,
    device: str = "auto",
    remove: Sequence[str] = (),
    add: Sequence[str] = (),
) -> IndexUpdate:
    """Update the index in a folder to its store: videos that joined, left, moved or got another label.

    Only new videos, and those with other rows, are read. Videos to `remove` leave the index although the store has
    them; later updates leave them out too, until they are named in `add`.

    `bank` is that store, if it has moved. `split` and the run may be left out; if given, they must be those of the
    index. Enrolled classes and the calibration stay, and thresholds are set again. DataError if the store is not found
    or is not that of the index, or if the split or the run is another one.
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.labelling.update import update_index as follow
    from framebank.heads.training.run import Run
    from framebank.library.stores import open_store

    path = Path(path)
    run_path = Path(run_path) if run_path else None
    run = Run.read(run_path) if run_path and run is None else run
    store = open_store(_store_of(path) if bank is None else bank)
    place = resolve_device(device)
    made = follow(path, store, split=split, run=run, run_path=run_path, device=place, remove=remove, add=add)
    return IndexUpdate(path, made.index, made.difference)


def _store_of(path: Path) -> str:
    """Return the store that an index was made from. DataError if the index does not say, or if it is not there."""
    from framebank.store.indexes.spec import read_index_spec

    place = read_index_spec(path).made_by.get("store")
    if not place or not Path(place).is_dir():
        raise DataError(f"{path}: was made from the store {place}, which is not there; give the store, as it lies now")
    return str(place)
