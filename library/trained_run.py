"""TrainedRun: an open run, its folder and its device. It scores splits and labels videos."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from framebank.library.checks import Paths, require_least, typed
from framebank.library.choice import Choice
from framebank.library.figures.report import Report
from framebank.library.labels import Labels
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.labelling.table import Labelled
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore
    from framebank.store.ledger import Failure


@typed
@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run and its folder. The weights are read once, and the encoder of new videos is built once.

    `seconds`, the last `loss` and `head_mix_score` (the score of the chosen head_mix) come from the training. They are
    None if the run was opened from its folder. `lines` and `to_dict` give what the command `train` prints.
    """

    path: Path
    run: "Run"
    device: str = "auto"
    given: Path | None = None  # the folder as the caller wrote it, for messages
    seconds: float | None = None
    loss: float | None = None
    head_mix_score: float | None = None

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> "TrainedRun":
        """Open the run in a folder. DataError if there is no run."""
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
        """What was tried and why this run was chosen, if `fb.train` chose it by itself."""
        found = self.run.trained_on.get("auto")
        return Choice.of(found) if found else None

    def evaluate(self, split: str = "test", *, bank: "FeatureStore | str | Path | None" = None) -> Report:
        """Score a split of the training store, or of `bank`. The figures go into metrics.json in its folder.

        DataError if the store comes from another encoder or has classes that the run lacks, or if the split has no
        label.
        """
        from framebank.library.evaluation import evaluate

        return evaluate(self.run, bank, split, folder=self.path, device=self.device)

    def score(self, frames: "np.ndarray") -> "np.ndarray":
        """Return the probability of each class (C,) for one video's frames (T, D), embeddings not normalised."""
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

        For a single file, the result is one answer, and DataError if the file cannot be read. Otherwise it is all
        answers, and `failed` lists the files that cannot be read. `workers` processes decode several files; the default
        is one for each core. With `sets` (0.9), each answer has a `label_set`, which holds the true label for that
        share of the videos.
        """
        from framebank.library.labelling import Asked

        labeller = self._labeller(len(self.labels), sets=sets)
        return label_by([Asked(labeller, self.run.spec, self.encoder)], videos, workers=workers, watch=watch)

    def predict(
        self, bank: "FeatureStore | str | Path", split: str = "all", *, top: int = 3, sets: float | None = None
    ) -> Labels:
        """Label the videos of a store from its rows, without decoding. Videos without an embedding are in `failed`.

        Each answer keeps its `top` likeliest classes. With `sets` it has a `label_set`, as in `label`.
        """
        require_least("top", top, 1)
        from framebank.heads.labelling.table import label_store
        from framebank.library.stores import open_store

        store = open_store(bank)
        return sort_labels(label_store(store, store.split(split), [self._labeller(top, sets=sets)]))

    def _labeller(self, top: int, *, sets: float | None = None) -> Any:
        from framebank.extract.encoders.device import resolve_device
        from framebank.heads.labelling.labellers import ModelLabeller

        return ModelLabeller.of_run(self.run, where=self.path, top=top, device=resolve_device(self.device), sets=sets)

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder of new videos. DataError if it is not installed here."""
        from framebank.library.labelling import encoder_of

        self.run.require_frames(self.path)  # new videos are embedded as frames only
        return encoder_of(self.run.spec, where=self.path, device=self.device)

    def to_dict(self) -> dict[str, Any]:
        """Return how it was trained, as plain values."""
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
        """Return lines that say what was trained, on which videos, and how well it did."""
        from framebank.library.comparing.training_lines import training_lines

        return [*(self.choice.lines() if self.choice else ()), *training_lines(self.to_dict())]

    def __repr__(self) -> str:
        (head, classifier), trained = self.run.parts, self.run.trained_on
        what = f"{head} of {classifier}" if self.run.members else f"{head} + {classifier}"
        on = f"{trained['train_videos']} videos of " if "train_videos" in trained else ""
        return f"TrainedRun({str(self.path)!r}: {what} on {on}{len(self.labels)} classes)"


def label_by(
    asked: Sequence[Any], videos: str | Path | Paths, *, workers: int | None, watch: Watch
) -> "Labelled | Labels":
    """Return the labels of one video file, or of several files and folders, from each asker; see `TrainedRun.label`."""
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
    """Split the answers into the videos that have a label and the failures."""
    from framebank.heads.labelling.table import Labelled

    labelled: list[Labelled] = []
    failed: list[Failure] = []
    for one in found:
        if isinstance(one, Labelled):
            labelled.append(one)
        else:
            failed.append(one)
    return Labels(tuple(labelled), tuple(failed))
