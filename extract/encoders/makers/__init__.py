"""Makers: the libraries whose models embed frames and texts, `maker:name`. A new one is one file and one row."""

import difflib

from framebank.extract.encoders.makers.made import Made, Maker
from framebank.extract.encoders.makers.open_clip_models import OpenClipModels
from framebank.extract.encoders.makers.timm_models import TimmModels
from framebank.extract.encoders.makers.transformers_models import TransformersModels
from framebank.store.errors import DataError

DEFAULT = "open_clip"  # the maker of a name without one

MAKERS: dict[str, Maker] = {
    "open_clip": OpenClipModels(),
    "timm": TimmModels(),
    "hf": TransformersModels(),
}

# Beginnings that open_clip itself knows: a repository of the Hugging Face hub, and a folder.
OF_OPEN_CLIP = ("hf-hub", "local-dir")


def maker_of(model: str) -> tuple[str, str]:
    """Return the maker and the name of a model: "timm:vit_tiny" gives ("timm", "vit_tiny"), a bare name open_clip's.

    DataError, with the nearest makers, if there is no such maker.
    """
    word, colon, name = model.partition(":")
    if not colon or word in OF_OPEN_CLIP:
        return DEFAULT, model
    if word in MAKERS and name:
        return word, name
    near = difflib.get_close_matches(word, MAKERS, n=1, cutoff=0.4)
    more = f"; did you mean {near[0]}:{name}?" if near and name else ""
    raise DataError(f"the model {model!r} names no maker that is known; expected {', '.join(MAKERS)} before :{more}")


def settle(model: str, pretrained: str | None) -> tuple[str, str | None]:
    """Return the name that a spec gives a model, and the weights to load. DataError if either is not known."""
    word, name = maker_of(model)
    name, pretrained = MAKERS[word].settle(name, pretrained)
    return name if word == DEFAULT else f"{word}:{name}", pretrained


def make(model: str, pretrained: str | None) -> Made:
    """Make the model that `settle` returned. DataError if the weights cannot be had or do not fit."""
    word, name = maker_of(model)
    return MAKERS[word].make(name, pretrained)


def weights_name(model: str, pretrained: str | None) -> str:
    """Return what a spec calls the weights that `settle` returned."""
    word, name = maker_of(model)
    return MAKERS[word].weights_name(name, pretrained)


def recorded_weights(model: str, recorded: str) -> str | None:
    """Return the value that loads the weights that the spec of a model calls `recorded`."""
    word, name = maker_of(model)
    return MAKERS[word].weights_of(name, recorded)


def clip_frames_of(model: str, pretrained: str | None) -> int:
    """Return how many frames a model reads at once: 1 for a model of pictures. DataError for an unknown model."""
    settled, weights = settle(model, pretrained)
    word, name = maker_of(settled)
    return MAKERS[word].clip_frames(name, weights)
