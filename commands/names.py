"""The names that options take, checked before torch is loaded; a test compares them with framebank.heads."""

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import fields
from pathlib import Path

from framebank.heads.training.choices import OPTIONED
from framebank.heads.training.recipe import RECIPES, Recipe
from framebank.store.errors import DataError

HEADS = (
    *("mean", "conv1d", "shift", "tcn", "lstm", "gru", "transformer", "transformer-cls", "attentive", "mit", "a5"),
    *("vivit", "m2clip", "ted", "sloshnet", "sloshnet-layers"),
)
CLASSIFIERS = ("text", "linear", "text-linear", "lda", "ridge", "logistic", "knn", "tip-adapter", "tip-adapter-f")
SCORERS = ("vcs", "x-clip", "semantic-units", "descriptions", "attributes")
LOSSES = (
    *("kl", "contrastive", "ce", "weighted-ce", "softmax-ce", "video-ce", "supcon", "masked-text", "bce", "soft-kl"),
    *("froster", "consistency", "diversity"),
)
UNTRAINED = (
    *("mean", "max", "diagonal", "otam", "bi-mhm", "chamfer", "chamfer++", "tuple", "text", "combine", "ridge"),
    *("linear-probe", "tip-adapter", "text-residual"),
)
MATCHERS = (*UNTRAINED, "linear", "trx", "hyrsm", "hyrsm++", "clip-fsar", "ma-clip", "gghm", "sloshnet")
RECIPE_KEYS = tuple(each.name for each in fields(Recipe))


def require_recipe(name: str) -> None:
    """Refuse a recipe that is neither in heads/recipes nor a file: DataError."""
    if not (Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml").is_file():
        there = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml")))
        raise DataError(f"no recipe is named {name!r}; expected one of {there}, or a .toml file")


def require_keys(keys: Iterable[str]) -> None:
    """Refuse a key of --set that no recipe has: DataError with the nearest key."""
    for key in keys:
        name, dot, _ = key.partition(".")
        if dot and name not in OPTIONED:
            expected = ", ".join(OPTIONED)
            raise DataError(f"--set {key}: {name!r} has no options; expected one of {expected} before the dot")
        if not dot and key not in RECIPE_KEYS:
            near = difflib.get_close_matches(key, RECIPE_KEYS, n=1, cutoff=0)
            raise DataError(f"--set: a recipe has no key {key!r}; the nearest is {near[0]!r}")


def require_losses(text: str) -> None:
    """Refuse a sum of losses with an unknown name: DataError."""
    for part in text.split("+"):
        name = (part.split() or [""])[-1]
        if name not in LOSSES:
            expected = f"expected one of {', '.join(LOSSES)}, or a sum such as ce + 0.5 kl"
            raise DataError(f"loss {name!r} is not known; {expected}")


def require_matcher(written: str, *, known: Collection[str] = UNTRAINED) -> None:
    """Refuse a matcher, as in "otam(smoothing=0.5)", with an unknown name: DataError."""
    name, _, inner = re.split(r"\(", written, maxsplit=1)[0].strip().partition(":")
    if name not in MATCHERS or (inner and (name != "combine" or inner not in MATCHERS)):
        told = f"{name}:{inner}" if inner else name
        expected = ", ".join(known) + (", or combine:<one>" if known is UNTRAINED else "")
        raise DataError(f"the matcher {told!r} is not known; expected one of {expected}")
