"""Model: a head, then a classifier or a scorer; how one is built from a recipe."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads import CLASSIFIERS, HEADS, SCORERS, TEXTS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.masking import masked_mean
from framebank.heads.randomness import drawn_from
from framebank.heads.recipe import Recipe
from framebank.heads.text_tower import TextTower
from framebank.heads.texts.context import Context
from framebank.store.errors import DataError

# About the cosine of CLIP's images and texts that fit; where a label by itself is judged, the threshold starts there.
COSINE_THRESHOLD = 0.2

SCORER_TYPES = tuple(scorer for scorer in SCORERS.values() if isinstance(scorer, type))


class Model(nn.Module):
    """Frames to class scores: unit frames (where `frame_norm`), head, classifier.

    Frames are stored un-normalised. Made unit before the head, as here by default, each frame counts the same in a mean
    whatever its norm; ActionCLIP pools them as they are. `head_mix` is the share of the frames' plain mean in the
    pooled embedding, both made unit: what a head learned from few classes is held to what CLIP knew of all of them
    (Open-VCLIP's interpolation, arXiv 2302.00624, of outputs rather than weights).
    """

    def __init__(
        self, head: nn.Module, classifier: nn.Module, *, frame_norm: bool = True, head_mix: float = 0.0
    ) -> None:
        super().__init__()
        self.head = head
        self.classifier = classifier
        self.frame_norm = frame_norm
        self.head_mix = head_mix
        self.reads_frames = isinstance(classifier, SCORER_TYPES)
        self.reads_pooled = getattr(classifier, "reads_pooled", True)
        self.reads_head_frames = getattr(classifier, "reads_head_frames", False)

    def frames(self, x: Tensor) -> Tensor:
        """Return what the head sees of stored frames x (B, T, D) of any float type: float32, unit where wanted."""
        x = x.float()
        return F.normalize(x, dim=-1) if self.frame_norm else x

    def pool(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool what `frames` gave, (B, T, D), mask (B, T) true where real -> (B, D)."""
        pooled: Tensor = self.head(frames, mask)
        if not self.head_mix:
            return pooled
        mean = F.normalize(masked_mean(frames, mask), dim=-1)
        return F.normalize(pooled, dim=-1).lerp(mean, self.head_mix)

    def score(self, frames: Tensor, mask: Tensor, pooled: Tensor | None) -> Tensor:
        """Score frames (B, T, D) and what was pooled from them (B, D), None where it is not read -> logits (B, C)."""
        if self.reads_head_frames:
            frames, mask = self.head.mix(frames, mask)  # type: ignore[operator] # build_model has looked for it
        logits: Tensor = self.classifier(frames, mask, pooled) if self.reads_frames else self.classifier(pooled)
        return logits

    def embed(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool stored frames x (B, T, D) of any float type, mask (B, T) true where real -> (B, D) float32."""
        return self.pool(self.frames(x), mask)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score stored frames x (B, T, D), mask (B, T) true where real -> logits (B, C)."""
        frames = self.frames(x)
        return self.score(frames, mask, self.pool(frames, mask) if self.reads_pooled else None)


def build_model(
    recipe: Recipe,
    *,
    dim: int,
    num_classes: int,
    texts: ClassTexts | None,
    in_shape: tuple[int, ...] = (),
    tower: TextTower | None = None,
    names: Sequence[str] = (),
    lexicon: Tensor | None = None,
) -> Model:
    """Build what a recipe describes, drawn from its seed.

    `dim` is the width of the embeddings, and `in_shape` the shape of one frame of the recipe's stream where it is not
    that: another width, which the head then gives, or several layers, which it brings to `dim`. A training that learns
    through the text `tower`, or reads tokens by it, gives it, and the `names` of the classes; a checkpoint brings what
    came of that. A `lexicon` (M, D) is for a classifier that reads one. ValueError where the classifier reads texts and
    there are none, or reads no lexicon and there is one; DataError where a part cannot be built of its options.
    """
    shape = {"in_shape": in_shape} if len(in_shape) > 1 else {}
    dim = in_shape[0] if len(in_shape) == 1 else dim
    with drawn_from(recipe.seed, device=torch.device("cpu")):
        with _told_of("head", recipe.head, recipe.head_options):
            head = HEADS[recipe.head](dim, **shape, **recipe.head_options)
        build = {**CLASSIFIERS, **SCORERS}[recipe.classifier]
        if texts is None and recipe.reads_texts:
            raise ValueError(f"the classifier {recipe.classifier!r} needs the texts of the classes")
        options = dict(recipe.classifier_options)
        if lexicon is not None:
            if not recipe.reads_lexicon:
                raise ValueError(f"the classifier {recipe.classifier!r} reads no lexicon")
            options["lexicon"] = lexicon
        if recipe.is_multi_label and recipe.classifier == "text":
            options.setdefault("threshold", COSINE_THRESHOLD)
        if recipe.text != "fixed":
            with _told_of("text", recipe.text, recipe.text_options):
                options["text"] = TEXTS[recipe.text](dim, num_classes, **recipe.text_options)
        with _told_of("classifier", recipe.classifier, recipe.classifier_options):
            classifier = build(dim, num_classes, texts, **options)
        if getattr(classifier, "reads_head_frames", False) and not hasattr(head, "mix"):
            raise DataError(
                f"the classifier {recipe.classifier!r} scores the frames that the head makes, and the head "
                f"{recipe.head!r} makes none; expected another, such as transformer, or classifier.head_frames=false"
            )
        if tower and isinstance(text := options.get("text"), Context):
            text.meet(tower, names)
        if tower and recipe.reads_tokens:
            classifier.set_texts(texts, tower=tower)  # type: ignore[operator]
    return Model(head, classifier, frame_norm=recipe.frame_norm, head_mix=recipe.head_mix)


@contextlib.contextmanager
def _told_of(what: str, name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Turn what a constructor says of options that cannot be, such as 7 heads for a width of 512, into a DataError."""
    try:
        yield
    except (ValueError, RuntimeError, ArithmeticError, AssertionError) as error:
        if not options:
            raise
        given = ", ".join(f"{what}.{option} = {value!r}" for option, value in options.items())
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"the {what} {name!r} cannot be built with {given}: {reason}") from error
