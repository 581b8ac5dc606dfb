"""FewshotRun: a folder that holds one matcher, trained by episodes: weights, recipe and log."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from framebank.heads.fewshot_recipe import FewshotRecipe, build_matcher
from framebank.heads.fewshot_train import Stage
from framebank.heads.folder import WEIGHTS
from framebank.heads.forms import EARLIER
from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.files import current, replacing_together
from framebank.store.spec import FeatureSpec


@dataclass(frozen=True)
class FewshotRun:
    """One trained matcher: opens without being told what it is.

    `labels` are the classes it was trained on, `store` is where their features lay; `trained_on` counts the videos and
    says what the step was chosen by.
    """

    recipe: FewshotRecipe
    spec: FeatureSpec
    labels: tuple[str, ...]
    matcher: nn.Module
    store: str
    trained_on: dict[str, Any]

    @property
    def weights_hash(self) -> str:
        """The same for the same weights; another after another training."""
        return digest({name: tensor.cpu().numpy() for name, tensor in self.matcher.state_dict().items()})

    def write(self, folder: Path, *, log: Sequence[Stage]) -> None:
        """Write recipe.json, log.csv and matcher.safetensors in the place of an earlier run: all of it, or nothing.

        DataError where there is no place or no room.
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
        weights = {name: tensor.contiguous().cpu() for name, tensor in self.matcher.state_dict().items()}
        with replacing_together(folder) as part:
            (part / "recipe.json").write_text(json.dumps(self.recipe.to_dict(), indent=1), encoding="utf-8")
            (part / "log.csv").write_text(text.getvalue(), encoding="utf-8")
            (part / WEIGHTS["matcher"]).write_bytes(save(weights, metadata={"framebank": json.dumps(about)}))

    @classmethod
    def read(cls, folder: str | Path) -> "FewshotRun":
        """Read what `write` wrote; DataError when the folder holds no matcher."""
        folder = Path(folder)
        path = current(folder, WEIGHTS["matcher"])
        if not path.is_file():
            raise DataError(f"{folder}: holds no {path.name}; expected a folder made by `framebank fewshot-train`")
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["framebank"])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            recipe = FewshotRecipe(**{"form": EARLIER, **about["recipe"]})
            spec = FeatureSpec.from_dict(about["spec"], where=path)
            labels = tuple(about["labels"])
            matcher = build_matcher(recipe, dim=spec.dim, num_classes=len(labels))
            matcher.load_state_dict(weights)
            return cls(recipe, spec, labels, matcher.eval(), about["store"], about["trained_on"])
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except (SafetensorError, OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: is not a matcher of framebank ({reason})") from error
