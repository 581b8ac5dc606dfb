"""What a scorer is: what it reads of a video, and what it can do."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from framebank.heads.class_texts import ClassTexts
from framebank.heads.text_tower import ClipTextTower


@dataclass(frozen=True)
class ScorerReads:
    """What a scorer, as it was built, reads of a video, and of the texts.

    pooled       what the head made of the video (B, D); else it is given None
    head_frames  the frames that the head makes before it pools them, rather than the stored ones
    all_texts    all texts of a class at once, so that a video has no score with a single one
    """

    pooled: bool = True
    head_frames: bool = False
    all_texts: bool = False


@runtime_checkable
class Scorer(Protocol):
    """A module of frames (B, T, D), mask (B, T) and pooled (B, D) or None -> logits (B, C), in a classifier's place."""

    @property
    @abstractmethod
    def reads(self) -> ScorerReads:
        """What it reads."""
        ...

    @abstractmethod
    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same by other texts; ValueError if it is bound to its own."""
        ...

    @abstractmethod
    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100 where a step of training took it above."""
        ...


@runtime_checkable
class ReadsTokens(Protocol):
    """A scorer that may read the tokens of the texts, as the encoder's text tower gives them."""

    @property
    @abstractmethod
    def reads_tokens(self) -> bool:
        """Whether it does."""
        ...

    @abstractmethod
    def set_texts(self, texts: ClassTexts, *, tower: ClipTextTower | None = None) -> None:
        """Score other classes, or the same by other texts, whose tokens the `tower` reads."""
        ...


def reads_of(classifier: object) -> ScorerReads:
    """Return what a scorer reads; a classifier reads what the head pooled."""
    return classifier.reads if isinstance(classifier, Scorer) else ScorerReads()
