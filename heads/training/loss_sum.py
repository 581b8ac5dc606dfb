"""Sums of losses, as a recipe writes them: "ce + 0.5 froster"."""

import math

from framebank import heads
from framebank.store.errors import DataError


def read_losses(text: str) -> dict[str, float]:
    """Return the weight of each loss: "ce + 0.5 froster" gives {"ce": 1.0, "froster": 0.5}.

    DataError if a loss is unknown or named twice, if a weight is not a number above 0, or if none of the losses learns
    the classes.
    """
    weights: dict[str, float] = {}
    for part in text.split("+"):
        *number, name = part.split() or [""]
        if name not in heads.LOSSES:
            raise DataError(
                f"loss {name!r} is not known; expected one of {', '.join(heads.LOSSES)}, or a sum such as ce + 0.5 kl"
            )
        if name in weights:
            raise DataError(f"the loss {text!r} names {name} twice; expected each once")
        weights[name] = _weight(number, of=part)
    if not any(heads.LOSSES[name].traits.reads_labels for name in weights):
        raise DataError(f"the loss {text!r} learns no class; expected it beside one that does, as in ce + {text}")
    return weights


def _weight(words: list[str], *, of: str) -> float:
    try:
        weight = float(words[0].removesuffix("*")) if words else 1.0
    except ValueError:
        weight = math.nan
    if len(words) > 1 or not 0 < weight < math.inf:
        raise DataError(
            f"the loss {of.strip()!r} is not understood; expected a weight above 0 and a name, as in 0.5 ce"
        )
    return weight
