"""Run: a folder that holds one training: recipe, weights, log, and what it was measured to be worth."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from framebank.heads import CLASSIFIERS, HEADS
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.model import Model, class_matrix
from framebank.heads.randomness import drawn_from
from framebank.heads.recipe import Recipe
from framebank.heads.train import Epoch
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.files import replacing, write_text
from framebank.store.labels import LabelSet
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec

FILES = ("checkpoint.safetensors", "recipe.toml", "log.csv", "metrics.json", "predictions.npz")


@dataclass(frozen=True)
class Run:
    """One training: opens without being told what it is.

    `store` is where the features it was trained on lay; `trained_on` counts the videos and names the split.
    """

    recipe: Recipe
    spec: FeatureSpec
    labels: tuple[str, ...]
    model: Model
    store: str
    trained_on: dict[str, Any]

    @property
    def weights_hash(self) -> str:
        """The same for the same weights; another after another training."""
        return digest({name: tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()})

    def write(self, folder: Path, *, log: Sequence[Epoch]) -> None:
        """Write recipe.toml, log.csv and, last, checkpoint.safetensors: a folder with a checkpoint is a whole run.

        What an earlier run left there goes first. DataError where there is no place or no room.
        """
        try:
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            self._write(folder, log=log)
        except BaseException:
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            raise

    def _write(self, folder: Path, *, log: Sequence[Epoch]) -> None:
        self.recipe.write(folder / "recipe.toml")
        text = io.StringIO()
        writer = csv.DictWriter(text, list(Epoch.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in log)
        write_text(folder / "log.csv", text.getvalue())
        about = {
            "recipe": self.recipe.to_dict(),
            "spec": self.spec.to_dict(),
            "labels": self.labels,
            "store": self.store,
            "trained_on": self.trained_on,
        }
        weights = {name: tensor.contiguous().cpu() for name, tensor in self.model.state_dict().items()}
        with replacing(folder / "checkpoint.safetensors") as part:
            part.write_bytes(save(weights, metadata={"framebank": json.dumps(about)}))

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read what `write` wrote; DataError when the folder is no run."""
        path = folder / "checkpoint.safetensors"
        if not path.is_file():
            raise DataError(f"{folder}: holds no checkpoint.safetensors; expected a folder made by `framebank train`")
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["framebank"])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            recipe = Recipe.from_dict(about["recipe"], where=path)
            spec = FeatureSpec.from_dict(about["spec"], where=path)
            labels = tuple(about["labels"])
            model = _rebuild(recipe, weights, dim=spec.dim, num_classes=len(labels))
            return cls(recipe, spec, labels, model, about["store"], about["trained_on"])
        except (SafetensorError, OSError, KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: is not a checkpoint of framebank ({reason})") from error

    def with_prompts(self, prompts: PromptBank, *, where: object, scoring: str | None = None) -> "Run":
        """Return the same head scoring with other class embeddings; DataError where the classifier is not of texts."""
        if not isinstance(self.model.classifier, TextClassifier):
            raise DataError(
                f"{where}: the run's classifier is {self.recipe.classifier!r} and knows no classes but its "
                f"{len(self.labels)}; other classes or texts need a run with --classifier text"
            )
        self.spec.require_same_encoder(prompts.encoder, mine="the run", theirs=where)
        scale = float(self.model.classifier.logit_scale.detach())
        matrix = class_matrix(prompts, scoring=scoring or self.recipe.scoring)
        model = Model(self.model.head, TextClassifier(matrix, logit_scale=scale), frame_norm=self.recipe.frame_norm)
        return Run(self.recipe, self.spec, prompts.labels.names, model.eval(), self.store, self.trained_on)

    def with_same_classes(self, prompts: PromptBank, *, where: object) -> "Run":
        """Return the run scoring with other texts of its own classes; DataError where the classes differ."""
        LabelSet(self.labels).require_covers(prompts.labels.names, mine="the run", theirs=where)
        prompts.labels.require_covers(self.labels, mine=where, theirs="the run")
        trained_on = {**self.trained_on, "texts": prompts.kind, "templates": list(prompts.templates)}
        return replace(self.with_prompts(prompts.select(self.labels), where=where), trained_on=trained_on)


def _rebuild(recipe: Recipe, weights: dict[str, torch.Tensor], *, dim: int, num_classes: int) -> Model:
    with drawn_from(recipe.seed, device=torch.device("cpu")):  # to be overwritten
        if recipe.classifier == "text":
            classifier: nn.Module = TextClassifier(weights["classifier.embeddings"])
        else:
            classifier = CLASSIFIERS[recipe.classifier](dim, num_classes)
        model = Model(HEADS[recipe.head](dim), classifier, frame_norm=recipe.frame_norm)
    model.load_state_dict(weights)
    return model.eval()
