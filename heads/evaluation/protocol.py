"""Protocol: how a figure was made, so that no figure stands alone."""

import hashlib
import json
from typing import Any

from torch import Tensor

from framebank import __version__
from framebank.heads.bank import Bank, BankParts
from framebank.heads.training.recipe import Recipe
from framebank.store.prompts import PromptBank
from framebank.store.spec import FeatureSpec
from framebank.store.videos.labels import LabelSet, class_text

# Paths do not decide a figure. The hashes beside them identify what was used.
PLACES = ("store", "run", "pretrained")


def made_by(
    *,
    spec: FeatureSpec,
    bank: Bank | BankParts,
    split: str,
    recipe: Recipe | None = None,
    prompts: PromptBank | None = None,
    labels: LabelSet | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return everything that decides a figure, and a hash of it: encoder, frames, videos, texts, recipe.

    `labels` are the classes that the targets of the bank count. The order of the classes in prompts decides nothing.
    """
    facts: dict[str, Any] = {
        **{name: value for name, value in spec.to_dict().items() if name != "schema_version"},
        "split": split,
        "videos_evaluated": _num_labelled(bank.target) if bank.num_classes else 0,
        "videos_listed": bank.num_listed,
        "videos_hash": _hash(sorted(zip(bank.video_ids, _labels_of(bank, labels), strict=True))),
        "framebank": __version__,
        **more,
    }
    if prompts:
        facts |= {
            "texts": prompts.kind,
            "templates": list(prompts.templates),
            "prompts_hash": _hash(_texts_of(prompts)),
        }
    if recipe:
        facts |= {"recipe": recipe.to_dict()}
    counted = {name: value for name, value in facts.items() if name not in PLACES}
    return {**facts, "protocol_hash": _hash(counted)}


def _num_labelled(target: Tensor) -> int:
    return int((target.any(1) if target.ndim == 2 else target >= 0).sum())


def _labels_of(bank: Bank | BankParts, labels: LabelSet | None) -> list[Any]:
    if labels is None:
        return list(bank.target.tolist())
    names = [class_text(name) for name in labels.names]
    if bank.target.ndim == 1:
        return [[names[place]] if place >= 0 else [] for place in bank.target.tolist()]
    return [sorted(name for name, is_own in zip(names, own, strict=True) if is_own) for own in bank.target.tolist()]


def _texts_of(prompts: PromptBank) -> dict[str, tuple[str, ...]]:
    ends = prompts.end.tolist()
    bounds = zip([0, *ends[:-1]], ends, strict=True)
    texts = (prompts.texts[start:end] for start, end in bounds)
    return dict(zip(map(class_text, prompts.labels.names), texts, strict=True))


def _hash(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()
