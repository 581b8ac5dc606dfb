"""Recipe: one training, reproducible; written beside what it made."""

import difflib
import json
import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from framebank.heads import CLASSIFIERS, HEADS
from framebank.heads.losses import LOSSES
from framebank.store.errors import DataError
from framebank.store.files import write_text

SCORINGS = ("probabilities", "embeddings")
VIEWS = ("random", "all", "first")


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how."""

    head: str = "transformer"
    classifier: str = "text"
    loss: str = "kl"

    # The texts of the classes, and whether their probabilities (ActionCLIP) or their embeddings (CLIP) are averaged.
    templates: tuple[str, ...] = ()
    texts: str = "names"
    scoring: str = "probabilities"

    # 0 shots is every training video.
    shots: int = 0
    val_fraction: float = 0.1
    frame_norm: bool = True

    # Where the store holds several views and clips of a video: one drawn for each epoch, all of them, or the first.
    views: str = "random"
    frames: int = 0  # how many of each of them are used, evenly spread, wherever the run is; 0 is all

    epochs: int = 50
    batch_size: int = 64
    lr: float = 5e-4
    weight_decay: float = 0.2
    warmup: float = 0.1
    label_smoothing: float = 0.0
    frame_dropout: float = 0.0  # the chance that a frame is left out of a training step
    seed: int = 0

    def __post_init__(self) -> None:
        """Check each field, and the two pairs that must agree."""
        for field in fields(self):
            _require_kind(field.name, getattr(self, field.name), type(field.default))
        _require_among("head", self.head, tuple(HEADS))
        _require_among("classifier", self.classifier, tuple(CLASSIFIERS))
        _require_among("loss", self.loss, LOSSES)
        _require_among("scoring", self.scoring, SCORINGS)
        _require_among("views", self.views, VIEWS)
        if self.loss == "kl" and self.classifier != "text":
            raise DataError(
                f"the loss 'kl' matches videos with texts; the classifier {self.classifier!r} has none: use ce"
            )
        for name in ("epochs", "batch_size", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise DataError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name in ("weight_decay", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise DataError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("val_fraction", "warmup", "frame_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected at least 0 and less than 1")
        if self.frames < 0:
            raise DataError(f"frames is {self.frames}; expected 0, for all that are stored, or more")
        if self.shots < 0:
            raise DataError(f"shots is {self.shots}; expected 0, for every video, or more")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    def write(self, path: Path) -> None:
        """Write the recipe as TOML."""
        write_text(path, "".join(f"{name} = {_toml(value)}\n" for name, value in self.to_dict().items()))

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read TOML; DataError as `from_dict`."""
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a recipe: {error}") from error
        return cls.from_dict(found, where=path)

    @classmethod
    def from_dict(cls, found: dict[str, Any], *, where: object) -> "Recipe":
        """Build a recipe from its fields; DataError for a key that is none of them, with the nearest that is."""
        known = [field.name for field in fields(cls)]
        for name in found:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0)
                raise DataError(f"{where}: a recipe has no {name!r}; the nearest is {near[0]!r}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
        try:
            return cls(**values)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error


def _require_kind(name: str, value: object, kind: type) -> None:
    fits = isinstance(value, int | float if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise DataError(f"{name} is {value!r}; expected {'a list' if kind is tuple else kind.__name__}")


def _require_among(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(f"{name} {value!r} is not known; expected one of {', '.join(choices)}")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # TOML's strings escape as JSON's do
    return repr(value)
