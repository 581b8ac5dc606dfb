"""TrainedRun: a run that is open, with its folder and the device it computes on; it scores splits and labels videos."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.checks import Paths, require_least
from framebank.library.choice import Choice
from framebank.library.labels import Labels
from framebank.library.report import Report
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.labelling.table import Labelled
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore
    from framebank.store.ledger import Failure


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run and the folder it lies in. The weights are read once, and the encoder of new videos is made once.

    `seconds`, the last `loss` and `head_mix_score`, what the chosen head_mix is worth, are those of the training, and
    None of a run that was opened. `lines` and `to_dict` tell of it as the command `train` does.
    """

    path: Path
    run: "Run"
    device: str = "auto"
    given: Path | None = None  # the folder as the caller wrote it, for what is printed
    seconds: float | None = None
    loss: float | None = None
    head_mix_score: float | None = None

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> "TrainedRun":
        """Open the run in a folder; DataError where there is none."""
        from framebank.heads.training.run import Run

        return cls(Path(path).absolute(), Run.read(path), device, Path(path))

    @property
    def shown(self) -> Path:
        """The folder as the caller wrote it."""
        return self.given or self.path

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its C classes."""
        return self.run.labels

    @property
    def choice(self) -> Choice | None:
        """What was tried and why this is the run, where `fb.train` found that by itself."""
        found = self.run.trained_on.get("auto")
        return Choice.of(found) if found else None

    def evaluate(self, split: str = "test", *, bank: "FeatureStore | str | Path | None" = None) -> Report:
        """Score a split of the store that it was trained on, or of `bank`; metrics.json in its folder has the figures.

        DataError where the store is of another encoder, has classes that the run lacks, or the split has no label.
        """
        from framebank.library.evaluation import evaluate

        return evaluate(self.run, bank, split, folder=self.path, device=self.device)

    def score(self, frames: "np.ndarray") -> "np.ndarray":
        """Return the probability of each class (C,) for one video's frames (T, D), un-normalised embeddings."""
        return self.run.score(frames)

    @overload
    def label(
        self, videos: str | Path, *, sets: float | None = None, workers: int | None = None, watch: Watch = unwatched
    ) -> "Labelled": ...

    @overload
    def label(
        self, videos: Paths, *, sets: float | None = None, workers: int | None = None, watch: Watch = unwatched
    ) -> Labels: ...

    def label(
        self,
        videos: str | Path | Paths,
        *,
        sets: float | None = None,
        workers: int | None = None,
        watch: Watch = unwatched,
    ) -> "Labelled | Labels":
        """Label a new video file, or several files and folders of videos.

        Of one file the answer comes back, and DataError where it cannot be read; of several all answers, with those
        that cannot be read in `failed`. `workers` processes decode several; one for each core where it is not given.
        With `sets` (0.9) each answer has a `label_set`, which holds the true label in that share of the videos.
        """
        from framebank.library.labelling import Asked

        labeller = self._labeller(len(self.labels), sets=sets)
        return label_by([Asked(labeller, self.run.spec, self.encoder)], videos, workers=workers, watch=watch)

    def predict(
        self, bank: "FeatureStore | str | Path", split: str = "all", *, top: int = 3, sets: float | None = None
    ) -> Labels:
        """Label the videos of a store from its rows, without decoding; those without an embedding are `failed`.

        Each keeps its `top` likeliest classes, and with `sets` its `label_set`, as `label` has it.
        """
        require_least("top", top, 1)
        from framebank.heads.labelling.table import label_store
        from framebank.library.stores import open_store

        store = open_store(bank)
        return sort_labels(label_store(store, store.split(split), [self._labeller(top, sets=sets)]))

    def _labeller(self, top: int, *, sets: float | None = None) -> Any:
        from framebank.extract.encoders.encoder import resolve_device
        from framebank.heads.labelling.labellers import ModelLabeller

        return ModelLabeller.of_run(self.run, where=self.path, top=top, device=resolve_device(self.device), sets=sets)

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder of new videos; DataError where it is not here."""
        from framebank.library.labelling import encoder_of

        self.run.require_frames(self.path)  # new videos are embedded into these alone
        return encoder_of(self.run.spec, where=self.path, device=self.device)

    def to_dict(self) -> dict[str, Any]:
        """Return how it was trained as plain values."""
        choice, scaling = self.choice, self.run.model.scaling  # without its scores, one for each validation video
        return {
            "run": str(self.shown),
            "seconds": self.seconds,
            "loss": self.loss,
            **{name: value for name, value in self.run.trained_on.items() if name != "auto"},
            **(choice.to_dict() if choice else {}),
            **({"confidence": {"temperature": scaling.temperature, "videos": scaling.videos}} if scaling else {}),
            "multi_label": self.run.recipe.is_multi_label,
            "head_mix_score": self.head_mix_score,
            "recipe": self.run.recipe.to_dict(),
        }

    def lines(self) -> list[str]:
        """Return what was trained on what, and how well it did, a line each."""
        from framebank.library.comparing.training_lines import training_lines

        return [*(self.choice.lines() if self.choice else ()), *training_lines(self.to_dict())]

    def __repr__(self) -> str:
        recipe, trained = self.run.recipe, self.run.trained_on
        on = f"{trained['train_videos']} videos of " if "train_videos" in trained else ""
        return f"TrainedRun({str(self.path)!r}: {recipe.head} + {recipe.classifier} on {on}{len(self.labels)} classes)"


def label_by(
    asked: Sequence[Any], videos: str | Path | Paths, *, workers: int | None, watch: Watch
) -> "Labelled | Labels":
    """Return what those who are asked say of one video file, or of several files and folders; as `TrainedRun.label`."""
    from framebank.library.labelling import find_videos, label_videos

    require_least("workers", workers, 1)
    alone = isinstance(videos, str | Path)
    paths = [videos] if isinstance(videos, str | Path) else list(videos)
    found = sort_labels(label_videos(find_videos(paths), asked, workers=workers, watch=watch))
    if not alone or Path(paths[0]).is_dir():
        return found
    if found.failed:
        raise DataError(found.failed[0].reason)
    return found[0]


def sort_labels(found: "Iterable[Labelled | Failure]") -> Labels:
    """Return the videos that have a label, and the failures apart."""
    from framebank.heads.labelling.table import Labelled

    labelled: list[Labelled] = []
    failed: list[Failure] = []
    for one in found:
        if isinstance(one, Labelled):
            labelled.append(one)
        else:
            failed.append(one)
    return Labels(tuple(labelled), tuple(failed))
