"""FewshotRun: a folder that holds one matcher, trained by episodes: weights, recipe and log."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.loop import Stage
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.training.checkpoint import read_checkpoint, require_fit, save
from framebank.heads.training.folder import WEIGHTS
from framebank.store.digest import digest
from framebank.store.errors import DataError, parsing
from framebank.store.files.replacing import current, read_settled, replacing_together
from framebank.store.spec import FeatureSpec

WHAT = "a matcher of framebank"


@dataclass(frozen=True)
class FewshotRun:
    """One trained matcher. It opens without further information, because the folder says what it is.

    `labels` are the classes that it was trained on. `store` is the place of their features. `trained_on` counts the
    videos and says what the step was chosen by.
    """

    recipe: FewshotRecipe
    spec: FeatureSpec
    labels: tuple[str, ...]
    matcher: nn.Module
    store: str
    trained_on: dict[str, Any]

    @property
    def weights_hash(self) -> str:
        """A hash that is equal for equal weights and differs after another training."""
        return digest({name: tensor.cpu().numpy() for name, tensor in self.matcher.state_dict().items()})

    def write(self, folder: Path, *, log: Sequence[Stage]) -> None:
        """Write recipe.json, log.csv and matcher.safetensors in place of an earlier run: all of them or none.

        DataError if there is no place or no room.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, list(Stage.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(stage) for stage in log)
        about = {
            "recipe": self.recipe.to_dict(),
            "spec": self.spec.to_dict(),
            "labels": self.labels,
            "store": self.store,
            "trained_on": self.trained_on,
        }
        with replacing_together(folder) as part:
            (part / "recipe.json").write_text(json.dumps(self.recipe.to_dict(), indent=1), encoding="utf-8")
            (part / "log.csv").write_text(text.getvalue(), encoding="utf-8")
            (part / WEIGHTS["matcher"]).write_bytes(save(about, self.matcher.state_dict()))

    @classmethod
    def read(cls, folder: str | Path) -> "FewshotRun":
        """Read what `write` wrote. DataError if the folder does not hold a matcher."""
        folder = Path(folder)
        return read_settled(folder, lambda: cls._read(folder))

    @classmethod
    def _read(cls, folder: Path) -> "FewshotRun":
        path = current(folder, WEIGHTS["matcher"])
        if not path.is_file():
            raise DataError(f"{folder}: holds no {path.name}; expected a folder made by `framebank fewshot-train`")
        found = read_checkpoint(path, what=WHAT)
        about, tensors = found.about, found.tensors
        recipe = FewshotRecipe.of_run(about.fields("recipe").values, where=path)
        spec = FeatureSpec.from_dict(about.fields("spec").values, where=path)
        labels = about.texts("labels")

        def build() -> nn.Module:
            return build_matcher(recipe, dim=spec.dim, num_classes=len(labels))

        require_fit(build, tensors, where=path)
        with parsing(path, what=WHAT):
            matcher = build()
            matcher.load_state_dict(tensors)
        trained_on = dict(about.fields("trained_on").values)
        return cls(recipe, spec, labels, matcher.eval(), about.text("store"), trained_on)
