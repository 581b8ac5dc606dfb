"""Building: make a model from a recipe."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.model import Model
from framebank.heads.randomness import drawn_from
from framebank.heads.scorers import CLASSIFIERS_AND_SCORERS
from framebank.heads.scorers.scorer import ReadsTokens, reads_of
from framebank.heads.temporal import HEADS
from framebank.heads.temporal.head import MixesFrames
from framebank.heads.text_tower import ClipTextTower
from framebank.heads.texts import TEXTS
from framebank.heads.texts.text import LearnedText, ReadsTower
from framebank.heads.training.recipe import Recipe
from framebank.store.errors import DataError

# About the cosine of a matching image and text in CLIP. If labels are judged one by one, the threshold starts there,
# or at that of the encoder, if it was trained with a sigmoid.
COSINE_THRESHOLD = 0.2
TRUNK = "trunk"  # the stream that `framebank adapt` trains on


def build_model(
    recipe: Recipe,
    *,
    dim: int,
    num_classes: int,
    texts: ClassTexts | None,
    in_shape: tuple[int, ...] = (),
    tower: ClipTextTower | None = None,
    names: Sequence[str] = (),
    lexicon: Tensor | None = None,
    live: nn.Module | None = None,
    live_texts: LearnedText | None = None,
) -> Model:
    """Build the model that a recipe describes, with random weights from the recipe's seed.

    `dim` is the width of the embeddings. `in_shape` is the shape of one frame of the recipe's stream if it differs:
    another width, which is then the width of the head's output, or several layers, which the head brings to `dim`. A
    training that learns through the text `tower`, or reads tokens with it, passes the tower and the `names` of the
    classes. A checkpoint brings the result of that instead. A `lexicon` (M, D) is for a classifier that reads one.
    `live` embeds what the stream trunk keeps of the frames; no head reads that stream without it. `live_texts` embeds
    the texts of the classifier "text" in place of what the recipe learns of them. ValueError if the
    classifier reads texts and there are none, or if it reads no lexicon and there is one. DataError if a part cannot be
    built with its options.
    """
    if recipe.stream == TRUNK and live is None:
        raise DataError(
            f"stream {TRUNK!r} is what enters blocks of the encoder, which no head reads; expected another stream, or "
            "framebank adapt"
        )
    shape = {"in_shape": in_shape} if len(in_shape) > 1 else {}
    dim = in_shape[0] if len(in_shape) == 1 else dim
    with drawn_from(recipe.seed, device=torch.device("cpu")):
        with _told_of("head", recipe.head, recipe.head_options):
            head = HEADS[recipe.head](dim, **shape, **recipe.head_options)
        build = CLASSIFIERS_AND_SCORERS[recipe.classifier]
        if texts is None and recipe.reads_texts:
            raise ValueError(f"the classifier {recipe.classifier!r} needs the texts of the classes")
        options = dict(recipe.classifier_options)
        if lexicon is not None:
            if not recipe.reads_lexicon:
                raise ValueError(f"the classifier {recipe.classifier!r} reads no lexicon")
            options["lexicon"] = lexicon
        if recipe.is_multi_label and recipe.classifier == "text":
            known = texts.threshold if texts else None
            options.setdefault("threshold", COSINE_THRESHOLD if known is None else known)
        if recipe.text != "fixed":
            with _told_of("text", recipe.text, recipe.text_options):
                options["text"] = TEXTS[recipe.text](dim, num_classes, **recipe.text_options)
        if live_texts is not None:
            options["text"] = live_texts
        with _told_of("classifier", recipe.classifier, recipe.classifier_options):
            classifier = build(dim, num_classes, texts, **options)
        if reads_of(classifier).head_frames and not isinstance(head, MixesFrames):
            raise DataError(
                f"the classifier {recipe.classifier!r} scores the frames that the head makes, and the head "
                f"{recipe.head!r} makes none; expected another, such as transformer, or classifier.head_frames=false"
            )
        if tower and isinstance(text := options.get("text"), ReadsTower):
            text.meet(tower, names)
        if tower and texts and isinstance(classifier, ReadsTokens) and classifier.reads_tokens:
            classifier.set_texts(texts, tower=tower)
    return Model(head, classifier, frame_norm=recipe.frame_norm, head_mix=recipe.head_mix, live=live)


@contextlib.contextmanager
def _told_of(what: str, name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Turn a constructor's error about impossible options, such as 7 heads for a width of 512, into a DataError."""
    try:
        yield
    except (ValueError, RuntimeError, ArithmeticError, AssertionError) as error:
        if not options:
            raise
        given = ", ".join(f"{what}.{option} = {value!r}" for option, value in options.items())
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"the {what} {name!r} cannot be built with {given}: {reason}") from error
