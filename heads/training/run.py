"""Run: a folder that holds one training: recipe, weights, log, and the figures of its evaluation."""

import copy
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from framebank.heads.bank import group_rows
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ServesTexts
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.confidence.scaling import Scaling
from framebank.heads.confidence.thresholds import KEPT, LabelThresholds
from framebank.heads.model import Model
from framebank.heads.scorers.scorer import ReadsTokens
from framebank.heads.text_tower import TowerLoader
from framebank.heads.texts.text import KeepsClasses, ReadsTower
from framebank.heads.training.checkpoint import read_checkpoint, save
from framebank.heads.training.filling import WHAT, ModelShape, filled_model
from framebank.heads.training.folder import WEIGHTS
from framebank.heads.training.loop import Epoch
from framebank.heads.training.members import Member, members_about, read_average
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import STATE
from framebank.heads.training.seen import seen_among
from framebank.store.counts import counted
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current, read_settled, remove_together, replacing_together
from framebank.store.formats.document import Fields
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec
from framebank.store.videos.labels import LabelSet, class_text

MEASURED = ("metrics.json", "predictions.npz")  # what `evaluate` adds


@dataclass(frozen=True)
class Run:
    """One training. It opens without further information, because the folder says what it is.

    `store` is the place of the features that it was trained on. `trained_on` counts the videos and names the split.
    `in_shape` is the shape of one frame if the recipe's stream is not the embeddings themselves. `seen` has the marks
    of the training videos (`seen.py`), "" if they are not known. If the model is an average, `members` are what it
    averages, and `recipe` is that of the first.
    """

    recipe: Recipe
    spec: FeatureSpec
    labels: tuple[str, ...]
    model: Model
    store: str
    trained_on: dict[str, Any]
    in_shape: tuple[int, ...] = ()
    seen: str = ""
    members: tuple[Member, ...] = ()

    @cached_property
    def weights_hash(self) -> str:
        """A hash that is equal for equal weights and differs after another training. A Run's weights never change."""
        return digest({name: tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()})

    @property
    def thresholds(self) -> np.ndarray | None:
        """The probability (C,) above which a video has each label, if they were fitted; see `fit_thresholds`."""
        said = self.trained_on.get(KEPT)
        if said is None:
            return None
        return LabelThresholds.read(said, num_classes=len(self.labels), where="the run").under(self.model.scaling)

    def write(self, folder: Path, *, log: Sequence[Epoch]) -> None:
        """Write recipe.toml, log.csv and checkpoint.safetensors in place of an earlier run: all of them or none.

        The figures of the earlier run's evaluation are removed, and the state that a training kept. DataError if there
        is no place or no room.
        """
        with replacing_together(folder) as part:
            self.put(part, log=log)
            for name in (*MEASURED, STATE):
                if (folder / name).exists():
                    remove_together(part, name)

    def about(self) -> dict[str, Any]:
        """Return everything about a run except its weights, as plain values."""
        return {
            "recipe": self.recipe.to_dict(),
            "spec": self.spec.to_dict(),
            "labels": self.labels,
            "store": self.store,
            "trained_on": self.trained_on,
            "in_shape": self.in_shape,
            **({"seen": self.seen} if self.seen else {}),
            **({"members": members_about(self.members)} if self.members else {}),
        }

    def videos_in(self, store: FeatureStore) -> list[str]:
        """Return the videos of a store that the run was trained on; those of its split, if it is an earlier run.

        None if the store is another one, or if the run does not know its split either.
        """
        videos = store.manifest.columns
        if self.seen:
            return self.trained_videos_among(videos.ids, store=store.path)
        split = self.trained_on.get("split")
        if not split or Path(self.store).resolve() != store.path.resolve():
            return []
        pairs = zip(videos.ids, videos.splits, strict=True)
        return [video_id for video_id, own in pairs if split in ("all", own)]

    def trained_videos_among(self, video_ids: Iterable[str], *, store: Path) -> list[str]:
        """Return those of some videos of a store that the run was trained on.

        None if the store is another one, in which such a name may be another video, or the run does not know, as
        earlier runs.
        """
        return seen_among(video_ids, self.seen) if Path(self.store).resolve() == store.resolve() else []

    def put(self, part: Path, *, log: Sequence[Epoch]) -> None:
        """Put the files of a run into a folder of `replacing_together`."""
        self.recipe.write(part / "recipe.toml")
        text = io.StringIO()
        writer = csv.DictWriter(text, list(Epoch.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in log)
        (part / "log.csv").write_text(text.getvalue(), encoding="utf-8")
        (part / WEIGHTS["run"]).write_bytes(save(self.about(), self.model.state_dict()))

    @classmethod
    def read(cls, folder: str | Path) -> "Run":
        """Read what `write` wrote. DataError if the folder is not a run."""
        folder = Path(folder)
        return read_settled(folder, lambda: cls._read(folder))

    @classmethod
    def _read(cls, folder: Path) -> "Run":
        path = current(folder, WEIGHTS["run"])
        if not path.is_file():
            raise DataError(f"{folder}: holds no {path.name}; expected a folder made by `framebank train`")
        found = read_checkpoint(path, what=WHAT)
        about, tensors = found.about, found.tensors
        recipe = Recipe.of_run(about.fields("recipe").values, where=path)
        spec = FeatureSpec.from_dict(about.fields("spec").values, where=path)
        labels, in_shape = about.texts("labels"), about.wholes("in_shape", least=1, default=())
        trained_on = _trained_on(about.fields("trained_on"))

        widest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
        if not labels:
            raise about.refuse("labels", "the name of a class at least")
        if spec.dim > widest:
            raise DataError(f"{path}: claims the width {spec.dim}, and none of its tensors is wider than {widest}")
        shape = ModelShape(spec.dim, len(labels), in_shape, has_lexicon=bool(trained_on.get("lexicon")))
        members: tuple[Member, ...] = ()
        if "members" in about:
            members, model = read_average(about.fields("members"), tensors, shape, recipe=recipe, where=path)
        else:
            model = filled_model(recipe, tensors, shape, where=path)
        if trained_on.get("confidence") is not None:
            said = about.fields("trained_on").fields("confidence").values
            model.scaling = Scaling.read(said, num_classes=len(labels), where=path)
        if trained_on.get(KEPT) is not None:
            LabelThresholds.read(about.fields("trained_on").fields(KEPT).values, num_classes=len(labels), where=path)
        seen = about.text("seen", default="")
        try:
            seen_among((), seen)
        except ValueError as error:
            raise DataError(f"{path}: its marks of the training videos cannot be read: the text {error}") from error
        return cls(recipe, spec, labels, model, about.text("store"), trained_on, in_shape, seen, members)

    def with_prompts(
        self, prompts: PromptBank, *, where: object, scoring: str | None = None, tower: TowerLoader | None = None
    ) -> "Run":
        """Return the run with other class embeddings. DataError if the classifier is bound to its own.

        If the classes are the run's own, they stay in its order, which is the order of everything that it learned for
        each class. A learned context reads other classes if its text tower is given, and a scorer of tokens reads their
        tokens.
        """
        self.require_texts(where)
        self.spec.require_same_encoder(prompts.encoder, mine="the run", theirs=where)
        model = copy.deepcopy(self.model)
        bound = any(isinstance(part, KeepsClasses) and part.keeps_classes for part in model.modules())
        if set(map(class_text, prompts.labels.names)) == set(map(class_text, self.labels)):
            prompts = prompts.select(self.labels)
        elif bound and len(prompts.labels) == len(self.labels):  # with another number, `bound` says more
            raise DataError(
                f"{where}: the run has learned weights for its own {counted(len(self.labels), 'class', 'classes')} "
                "and cannot serve others; expected those classes"
            )
        try:
            _serve(model.classifier, prompts, scoring=scoring or self.recipe.scoring, tower=tower)
        except (ValueError, DataError) as error:
            raise DataError(f"{where}: {error}") from error
        trained_on = self.trained_on
        if prompts.labels.names != self.labels:
            trained_on = {name: value for name, value in trained_on.items() if name != KEPT}
            if model.scaling:
                model.scaling = model.scaling.without_classes()
        return replace(self, labels=prompts.labels.names, model=model.eval(), trained_on=trained_on)

    @torch.inference_mode()
    def score(self, frames: np.ndarray) -> np.ndarray:
        """Return the probability of each of `labels` (C,) for one video's frames (T, D), embeddings not normalised.

        The frames are those of one view and clip, in order. A run with `frames` uses that many of them. DataError if
        the run reads another stream, if the width differs, if there are no frames, or if a value is not a number.
        """
        self.require_frames("score")
        frames = np.asarray(frames)
        if frames.ndim != 2 or not len(frames) or frames.shape[1] != self.spec.dim:
            raise DataError(
                f"score: frames are {frames.shape}; expected (T, {self.spec.dim}), as {self.spec.model} gives"
            )
        if not np.isfinite(frames).all():
            raise DataError("score: frames hold values that are not finite; expected embeddings")
        chosen, _ = group_rows(np.array([len(frames)]), num_groups=1, num_frames=self.recipe.frames)  # (1, T)
        x = torch.from_numpy(np.ascontiguousarray(frames[chosen[0]]))[None]  # (1, T, D)
        logits = self.model.cpu()(x, torch.ones(x.shape[:2], dtype=torch.bool))[0]
        several = self.recipe.is_multi_label
        logits = self.model.scaled(logits, multi_label=several)
        return np.asarray((logits.sigmoid() if several else logits.softmax(-1)).numpy())

    def require_frames(self, where: object) -> None:
        """Raise DataError if the run reads another stream than the embeddings of the frames."""
        if self.recipe.stream != "frame":
            raise DataError(
                f"{where}: the run reads the stream {self.recipe.stream!r}; expected one trained on the stream 'frame'"
            )

    @property
    def parts(self) -> tuple[str, str]:
        """The names of its head and of its classifier; those of an average are "average" and its members."""
        if self.members:
            return "average", ", ".join(member.name for member in self.members)
        return self.recipe.head, self.recipe.classifier

    def require_one_head(self, where: object) -> None:
        """Raise DataError if the run is an average of several heads."""
        if self.members:
            names = ", ".join(member.name for member in self.members)
            raise DataError(
                f"{where}: the run is an average of several heads ({names}), which has no single embedding and serves "
                "only its own classes and texts; expected a run of one head, such as --recipe makes"
            )

    def require_texts(self, where: object) -> None:
        """Raise DataError if the run does not score with the texts of classes."""
        self.require_one_head(where)
        if not self.recipe.reads_texts:
            raise DataError(
                f"{where}: the run's classifier is {self.recipe.classifier!r} and knows only its own "
                f"{counted(len(self.labels), 'class', 'classes')}; other classes or texts need a run with "
                "--classifier text"
            )

    def with_same_classes(self, prompts: PromptBank, *, where: object) -> "Run":
        """Return the run with other texts of its own classes. DataError if the classes differ."""
        LabelSet(self.labels).require_covers(prompts.labels.names, mine="the run", theirs=where)
        prompts.labels.require_covers(self.labels, mine=where, theirs="the run")
        trained_on = {**self.trained_on, "texts": prompts.kind, "templates": list(prompts.templates)}
        return replace(self.with_prompts(prompts.select(self.labels), where=where), trained_on=trained_on)


def _serve(classifier: nn.Module, prompts: PromptBank, *, scoring: str, tower: TowerLoader | None) -> None:
    """Make a classifier or a scorer score with prompts. ValueError or DataError if it is bound to its own."""
    texts = ClassTexts.of(prompts, scoring=scoring)
    if tower and isinstance(classifier, TextClassifier) and isinstance(classifier.text, ReadsTower):
        classifier.text.serve(tower(), [class_text(name) for name in prompts.labels.names])
    if tower and isinstance(classifier, ReadsTokens) and classifier.reads_tokens:
        classifier.set_texts(texts, tower=tower())
    elif isinstance(classifier, ServesTexts):
        classifier.set_texts(texts)


def _trained_on(found: Fields) -> dict[str, Any]:
    """Return what a run says about its training, with the texts of its classes in the form that its scoring needs."""
    if found.values.get("templates") is not None:
        found.texts("templates")
    if found.values.get("texts") is not None:
        found.text("texts")
    return dict(found.values)
