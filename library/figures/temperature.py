"""Temperature: calibrate the probabilities of a run, on videos that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.figures.held_out import held_out_split
from framebank.library.figures.pairs import HasPath
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.store import FeatureStore


@dataclass(frozen=True, repr=False)
class Temperature:
    """The scaling of a run's probabilities: its `temperature`, and whether each class has a scale and a bias too.

    `ece_before` and `ece_after` are the calibration errors on the `videos` that it was fitted on, as fractions.
    """

    run: Path
    temperature: float
    by_class: bool
    videos: int
    ece_before: float | None
    ece_after: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**vars(self), "run": str(self.run)}

    def __repr__(self) -> str:
        if not self.videos:
            return f"{self.run}: tells its probabilities as the model gives them"
        each = ", with a scale and a bias for each class" if self.by_class else ""
        error = ""
        if self.ece_before is not None and self.ece_after is not None:
            error = f"; calibration error {100 * self.ece_before:.1f} -> {100 * self.ece_after:.1f} % on them"
        return f"{self.run}: temperature {self.temperature:.3f}{each}, by {self.videos} videos{error}"

    def _repr_html_(self) -> str:
        import html

        return f"<div>{html.escape(repr(self))}</div>"


@typed
def fit_temperature(
    run: "HasPath | str | Path",
    bank: "FeatureStore | str | Path | None" = None,
    split: str = "val",
    *,
    by_class: bool = False,
    off: bool = False,
    on: bool = False,
    device: str = "auto",
) -> Temperature:
    """Fit how sure a run may be on a split of a store (temperature scaling, Guo et al. 2017), and keep it in the run.

    `train` does this itself if it has 20 validation videos or more. The default of `bank` is the store that the run was
    trained on. `by_class` also fits a scale and a bias for each class; `off` takes the scaling out, and `on` puts
    it back. The run's metrics.json and predictions.npz are removed: evaluate it again. DataError for the split "test",
    on which nothing is fitted, for "train", "all" and the split that the run was trained on, for a split that holds
    training videos of the run, or if there are too few videos.

    >>> import framebank as fb
    >>> fb.fit_temperature("run", "bank", split="val").temperature                             # doctest: +SKIP
    0.61
    """
    from framebank.extract.encoders.device import resolve_device
    from framebank.heads.evaluation.temperature import fit_run, forget, restore
    from framebank.heads.training.run import Run

    if by_class + off + on > 1:
        raise DataError("by_class fits, off takes out and on puts back; expected one of them")
    folder = Path(run) if isinstance(run, str | Path) else run.path
    trained = Run.read(folder)
    if off:
        forget(trained, folder=folder)
        return Temperature(folder, 1.0, False, 0, None, None)
    if on:
        scaling = restore(trained, folder=folder).model.scaling
        assert scaling
        return Temperature(folder, scaling.temperature, bool(scaling.scales), scaling.videos, None, None)
    store, manifest = held_out_split(trained, bank, split, folder=folder, what="a temperature")
    found = fit_run(trained, store, manifest, folder=folder, device=resolve_device(device), by_class=by_class)
    scaling = found.run.model.scaling
    assert scaling
    return Temperature(
        folder, scaling.temperature, bool(scaling.scales), found.videos, found.ece_before, found.ece_after
    )
