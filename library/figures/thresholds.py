"""Thresholds of a run of several labels: from which probability on a video has each label."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.figures.held_out import held_out_split
from framebank.library.figures.pairs import HasPath
from framebank.library.table import html_table, percent, table
from framebank.store.counts import counted
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.store import FeatureStore

SHOWN = 20  # classes in a table


@dataclass(frozen=True, repr=False)
class FittedThresholds:
    """The thresholds of a run: `values` by label, which are probabilities; a video has the labels above theirs.

    They were fitted on `videos` for the best F1 of each label, or for the share `precision` of right labels. `at_half`
    and `fitted` are the figures on the videos that they were fitted on, above 0.5 and above the thresholds: the mean F1
    of the classes (`f1`), and of all labels together `micro_f1`, `precision` and `recall`. `values` is empty after the
    thresholds were taken out.
    """

    run: Path
    values: Mapping[str, float]
    videos: int = 0
    precision: float | None = None
    at_half: Mapping[str, Any] | None = None
    fitted: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**vars(self), "run": str(self.run), "values": dict(self.values)}

    def lines(self) -> list[str]:
        """Return a row for each class, the lowest thresholds first, and what the labels are worth."""
        return [*(table(*self._cells(), align="lrrr") if self.values else []), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        assert self.fitted
        each = zip(self.values.items(), self.fitted["by_class"], strict=True)
        rows: list[tuple[str, ...]] = [
            (name, f"{value:.3f}" if value < 1 else "never", percent(own["precision"]), percent(own["recall"]))
            for (name, value), own in sorted(each, key=lambda one: one[0][1])
        ]
        return ("label", "threshold", "precision", "recall"), rows[:SHOWN]

    def _below(self) -> list[str]:
        if not self.values:
            return [f"{self.run}: has no thresholds now; its label is the likeliest one"]
        assert self.fitted and self.at_half
        more = [f"and {counted(len(self.values) - SHOWN, 'label')} more"] if len(self.values) > SHOWN else []
        goal = "the best F1" if self.precision is None else f"{percent(self.precision)} right labels"
        f1, half = (percent(found["f1"]) for found in (self.fitted, self.at_half))
        told = f"precision {percent(self.fitted['precision'])}, recall {percent(self.fitted['recall'])}"
        videos = counted(self.videos, "video")
        return [*more, f"{self.run}: for {goal}, by {videos}; on them class mean F1 {f1} ({half} at 0.5), {told}"]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below()) if self.values else "\n".join(self._below())


@typed
def fit_thresholds(
    run: "HasPath | str | Path",
    bank: "FeatureStore | str | Path | None" = None,
    split: str = "val",
    *,
    precision: float | None = None,
    off: bool = False,
    device: str = "auto",
) -> FittedThresholds:
    """Fit above which probability a video has each label, on held-out videos, and keep it in a run of several labels.

    Each label gets the threshold of its best F1; with `precision` (0.9), the lowest above which that share of its
    labels is right, and a label that never reaches it is never given; a warning tells if no label does. Labels of few
    videos are held to all labels together (`heads.confidence.thresholds`). Then `label`, `predict` and `label_store`
    give a video all labels above theirs, or "unknown", and `evaluate` measures them. `off` takes the thresholds out.
    The default of `bank` is the store that the run was trained on. The run's metrics.json and predictions.npz are
    removed: evaluate it again. DataError if the videos of the run have one label each, for a split that is not held
    out, as in `fit_temperature`, if there are too few videos, or if there is nothing for `off` to take out.

    >>> import framebank as fb
    >>> fb.fit_thresholds("run", split="val").values["juggling"]                               # doctest: +SKIP
    0.31
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.confidence.thresholds import NEVER
    from framebank.heads.evaluation.thresholds import fit_thresholds_of_run, forget_thresholds
    from framebank.heads.training.run import Run

    if precision is not None and not 0 < precision < 1:
        raise DataError(f"precision is {precision}; expected a share between 0 and 1")
    if off and precision is not None:
        raise DataError("off takes the thresholds out and precision fits them; expected one of them")
    folder = Path(run) if isinstance(run, str | Path) else run.path
    trained = Run.read(folder)
    if off:
        forget_thresholds(trained, folder=folder)
        return FittedThresholds(folder, {})
    if not trained.recipe.is_multi_label:
        raise DataError(f"{folder}: each of its videos has one label; expected a run of several labels for thresholds")
    store, manifest = held_out_split(trained, bank, split, folder=folder, what="a threshold")
    fitted, half, worth = fit_thresholds_of_run(
        trained, store, manifest, folder=folder, device=resolve_device(device), precision=precision
    )
    assert fitted.thresholds is not None
    values = dict(zip(fitted.labels, fitted.thresholds.tolist(), strict=True))
    if precision is not None and all(value >= NEVER for value in values.values()):
        warn(
            f"{folder}: no label reaches {percent(precision)} right labels on the split {split!r}, so the run gives "
            'none and answers "unknown"; fit with a lower precision, or take the thresholds out (off)'
        )
    return FittedThresholds(folder, values, fitted.trained_on["thresholds"]["videos"], precision, half, worth)
