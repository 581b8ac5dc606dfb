"""Recipe: the settings of one training, written beside its result, so that it can be repeated.

The tables of framebank.heads are loaded when a recipe is made. The defaults can be read without torch.
"""

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from framebank import heads
from framebank.heads.options import RECIPE_KINDS, is_of_kind, read_options
from framebank.heads.training.choices import with_settings
from framebank.heads.training.forms import EARLIER, FORMS, PUBLISHED, options_of_form
from framebank.heads.training.loss_sum import read_losses
from framebank.heads.training.precision import PRECISIONS
from framebank.store.errors import DataError
from framebank.store.files.replacing import write_text
from framebank.store.formats.document import read_toml, shown
from framebank.store.videos.labels import TEXT_KINDS

INITS = ("", "text-tower")
SCORINGS = ("probabilities", "embeddings")
VIEWS = ("random", "all", "first")
SAMPLERS = ("shuffle", "balanced")
SCHEDULES = ("floor", "paper")
STEPS = ("adamw", "whitened", "either")  # of a linear classifier of the mean (whitener.py); either: the clearly better
MIN_STEPS = 600  # the floor of the published recipes: enough for a temporal head to learn the order of a small set
MOST_PROBES = 20  # five learning rates and four weight decays (probes.py)
RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    `form` 1 is for a training from before the methods were made equal to their authors' code: it sets the options that
    give each method its earlier form. A run that names no form has form 1.
    """

    head: str = "transformer"
    head_options: dict[str, Any] = field(default_factory=dict)
    init: str = ""  # how the head's blocks start: random, or as the first blocks of the text tower
    classifier: str = "text"
    classifier_options: dict[str, Any] = field(default_factory=dict)
    text: str = "fixed"  # what is learned about the class embeddings
    text_options: dict[str, Any] = field(default_factory=dict)
    loss: str = "kl"  # or a sum, "ce + 0.5 froster"
    stream: str = "frame"  # which stream of the store the head sees

    # The texts of the classes, and whether their probabilities (ActionCLIP) or their embeddings (CLIP) are averaged.
    templates: tuple[str, ...] = ()
    texts: str = "names"
    scoring: str = "probabilities"

    # 0 shots means every training video.
    shots: int = 0
    val_fraction: float = 0.1
    frame_norm: bool = True
    head_mix: float = 0.0  # the share of the frames' plain mean in the output of the head

    # If the store holds several views and clips of a video: one drawn for each epoch, all of them, or the first.
    views: str = "random"
    frames: int = 0  # how many frames of each are used, evenly spread, wherever the run is used; 0 is all
    jitter: bool = False  # in training, any frame of each of these segments, not its centre

    # Small sets are passed more often than `epochs`, until that many steps are made. "paper" makes the epochs alone.
    min_steps: int = 0
    schedule: str = "floor"
    steps: str = "adamw"
    epochs: int = 50
    batch_size: int = 64
    lr: float = 5e-4
    weight_decay: float = 0.2
    warmup: float = 0.1
    label_smoothing: float = 0.0
    frame_dropout: float = 0.0  # the probability that a training step leaves out a frame
    mixup: float = 0.0  # how equal the shares of two mixed videos are: Beta(mixup, mixup); 0 mixes none
    sampler: str = "shuffle"  # every video once an epoch, or equally many of each class
    logit_adjustment: float = 0.0  # how much of log(class frequency) is added to the logits in training
    average: float = 0.0  # the share of the epochs, from the end, whose weights are averaged
    precision: str = "fp32"  # of the head in training; "auto" is bf16 where the hardware multiplies it
    probes: int = 0  # how many learning rates and weight decays are trained at once, in place of those above
    halving: bool = False  # of these, only the best go on after some of the epochs (probes.py)
    seed: int = 0
    form: int = PUBLISHED

    def __post_init__(self) -> None:
        """Check each field, and the pairs that must agree. Convert options to the types of their constructors."""
        for each in fields(self):
            _require_kind(each.name, getattr(self, each.name), _kind_of(each))
        if self.form not in FORMS:
            raise DataError(f"form is {self.form}; expected {EARLIER} or {PUBLISHED}")
        _require_among("head", self.head, tuple(heads.HEADS))
        _require_among("classifier", self.classifier, tuple(heads.CLASSIFIERS_AND_SCORERS))
        _require_among("init", self.init, INITS)
        if self.init and not heads.HEADS[self.head].traits.takes_blocks:
            raise DataError(
                f"init = {self.init!r} fills blocks of a head, and the head {self.head!r} takes none; expected vivit"
            )
        _require_among("scoring", self.scoring, SCORINGS)
        _require_among("texts", self.texts, TEXT_KINDS)
        _require_among("views", self.views, VIEWS)
        _require_among("sampler", self.sampler, SAMPLERS)
        _require_among("schedule", self.schedule, SCHEDULES)
        _require_among("steps", self.steps, STEPS)
        _require_among("precision", self.precision, PRECISIONS)
        _require_among("text", self.text, tuple(heads.TEXTS))
        builds: dict[str, Callable[..., object]] = {
            "head": heads.HEADS[self.head],
            "classifier": heads.CLASSIFIERS_AND_SCORERS[self.classifier],
            "text": heads.TEXTS[self.text],
        }
        for what, build in builds.items():
            chosen = getattr(self, what)
            options = options_of_form(self.form, what, chosen, getattr(self, f"{what}_options"))
            object.__setattr__(self, f"{what}_options", read_options(what, chosen, build, options))
        if heads.HEADS[self.head].traits.reads_layers != (self.stream == "layers"):
            reads = "layers" if heads.HEADS[self.head].traits.reads_layers else "frame"
            raise DataError(f"the head {self.head!r} reads the stream {reads!r}, but stream is {self.stream!r}")
        if self.text != "fixed" and self.classifier != "text":
            raise DataError(
                f"text = {self.text!r} learns class embeddings; the classifier {self.classifier!r} has none: use text"
            )
        losses = read_losses(self.loss)
        needy = next((name for name in losses if heads.LOSSES[name].traits.reads_texts), "")
        if needy and not self.reads_texts:
            raise DataError(
                f"the loss {needy!r} matches videos with texts; the classifier {self.classifier!r} reads none: use ce"
            )
        if len({heads.LOSSES[name].traits.multi_label for name in losses} - {None}) > 1:
            raise DataError(
                f"the loss {self.loss!r} adds losses for one label of a video to losses for several; expected one kind"
            )
        for name in ("batch_size", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise DataError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name in ("epochs", "weight_decay", "seed", "mixup", "logit_adjustment"):
            if not 0 <= getattr(self, name) < math.inf:
                raise DataError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("val_fraction", "warmup", "frame_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected at least 0 and less than 1")
        for name in ("head_mix", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        if self.seed >= 2**63:
            raise DataError(f"seed is {self.seed}; expected less than 2**63")
        if not 0 <= self.probes <= MOST_PROBES or self.probes == 1:
            raise DataError(f"probes is {self.probes}; expected 0, for one training, or 2 to {MOST_PROBES}")
        if self.frames < 0:
            raise DataError(f"frames is {self.frames}; expected 0, for all that are stored, or more")
        if self.jitter and not self.frames:
            raise DataError("jitter draws a frame of each segment; expected their number in frames, such as 8")
        if self.shots < 0:
            raise DataError(f"shots is {self.shots}; expected 0, for every video, or more")
        if self.min_steps < 0:
            raise DataError(f"min_steps is {self.min_steps}; expected 0, for no floor, or more")

    def epochs_of(self, examples: int) -> int:
        """Return the number of passes over that many examples: `epochs`, or more where these give too few steps."""
        if not self.epochs or not examples or self.schedule == "paper":
            return self.epochs
        return max(self.epochs, math.ceil(self.min_steps / math.ceil(examples / self.batch_size)))

    @property
    def reads_texts(self) -> bool:
        """Whether the classifier scores with the texts of the classes."""
        return heads.CLASSIFIERS_AND_SCORERS[self.classifier].traits.reads_texts

    @property
    def reads_lexicon(self) -> bool:
        """Whether the classifier takes a lexicon of phrases besides the texts of the classes."""
        return heads.CLASSIFIERS_AND_SCORERS[self.classifier].traits.reads_lexicon

    @property
    def reads_tokens(self) -> bool:
        """Whether the classifier scores with the tokens of the texts, from the encoder's text tower."""
        return self.classifier_options.get("words") == "tokens"

    @property
    def chooses(self) -> bool:
        """Whether a training chooses something on validation videos: the epoch, or what its classifier searches."""
        traits = heads.CLASSIFIERS_AND_SCORERS[self.classifier].traits
        options = options_of_form(self.form, "classifier", self.classifier, self.classifier_options)
        needs_none = bool(traits.needs_no_val) and options.get(traits.needs_no_val, True)
        return self.epochs > 0 or (traits.chooses and not needs_none)

    @property
    def asks_tower(self) -> str:
        """The setting that needs the encoder's text tower in training, for its blocks or its output; "" if none."""
        if self.init:
            return f"init = {self.init!r}"
        if heads.TEXTS[self.text].traits.reads_tower:
            return f"text = {self.text!r}"
        return "classifier.words = 'tokens'" if self.reads_tokens else ""

    @property
    def reads_tower(self) -> bool:
        """Whether training needs the encoder's text tower."""
        return bool(self.asks_tower)

    @property
    def is_multi_label(self) -> bool:
        """Whether a video may have several labels."""
        return any(heads.LOSSES[name].traits.multi_label for name in read_losses(self.loss))

    @classmethod
    def from_choices(cls, choices: dict[str, Any], *, settings: dict[str, str]) -> "Recipe":
        """Build a recipe from some fields and --set's. The loss is kl, or ce if the classifier is not text.

        DataError as in `with_settings`.
        """
        chosen = settings.get("classifier", choices.get("classifier", cls.classifier))
        if "loss" not in choices and chosen != "text":
            choices = {**choices, "loss": "ce"}
        return cls.from_dict(with_settings(choices, settings), where="the recipe")

    def with_settings(self, settings: dict[str, str]) -> "Recipe":
        """Return the recipe with some keys set. Values are TOML or bare words; "head.num_layers" reaches an option.

        DataError as in `from_dict`.
        """
        return Recipe.from_dict(with_settings(asdict(self), settings), where="--set")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, later ones only if they are used: else a hash is that of earlier versions."""
        unused = (() if self.probes else ("probes", "halving")) + (("steps",) if self.steps == "adamw" else ())
        return {name: value for name, value in asdict(self).items() if name not in unused}

    def write(self, path: Path) -> None:
        """Write the recipe as TOML."""
        write_text(path, "".join(f"{name} = {_toml(value)}\n" for name, value in asdict(self).items()))

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """Read TOML. DataError as in `from_dict`."""
        path = Path(path)
        return cls.from_dict(read_toml(path, what="a recipe"), where=path)

    @classmethod
    def of_run(cls, found: Mapping[str, Any], *, where: object) -> "Recipe":
        """Build the recipe that a run keeps. What it does not name is as it was when no recipe named it."""
        return cls.from_dict({"form": EARLIER, **found}, where=where)

    @classmethod
    def from_dict(cls, found: dict[str, Any], *, where: object) -> "Recipe":
        """Build a recipe from its fields. DataError for an unknown key, with the nearest known one."""
        known = [field.name for field in fields(cls)]
        for name in found:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0)
                raise DataError(f"{where}: a recipe has no key {name!r}; the nearest is {near[0]!r}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
        try:
            return cls(**values)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error


def read_recipe(name: str | Path) -> Recipe:
    """Return the recipe with this name in heads/recipes, or of a .toml file. DataError if there is neither."""
    path = Path(name) if str(name).endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        raise DataError(f"no recipe is named {name!r}; expected one of {', '.join(recipe_names())}, or a .toml file")
    return Recipe.read(path)


def recipe_names() -> list[str]:
    """Return the names of the published recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _kind_of(each: "Field[Any]") -> type:
    return dict if each.default is MISSING else type(each.default)


def _require_kind(name: str, value: object, kind: type) -> None:
    if not is_of_kind(value, kind):
        raise DataError(f"{name} is {shown(value)}; expected {RECIPE_KINDS[kind]}")


def _require_among(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(f"{name} {value!r} is not known; expected one of {', '.join(choices)}")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # TOML escapes strings as JSON does
    return repr(value)
