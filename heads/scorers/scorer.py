"""The type of scorers: what a scorer reads of a video, and what it can do."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from framebank.heads.class_texts import ClassTexts
from framebank.heads.text_tower import ClipTextTower


@dataclass(frozen=True)
class ScorerReads:
    """What a built scorer reads of a video and of the texts.

    pooled       what the head made of the video (B, D); else it is given None
    head_frames  the frames that the head makes before it pools them, rather than the stored ones
    all_texts    all texts of a class at once, so that a video has no score with a single one
    """

    pooled: bool = True
    head_frames: bool = False
    all_texts: bool = False


@runtime_checkable
class Scorer(Protocol):
    """A module from frames (B, T, D), mask (B, T), pooled (B, D) or None to logits (B, C), in a classifier's place."""

    @property
    @abstractmethod
    def reads(self) -> ScorerReads:
        """What it reads."""
        ...

    @abstractmethod
    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same classes by other texts. ValueError if it is bound to its own."""
        ...

    @abstractmethod
    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's bound of 100 if a training step took it above."""
        ...


@runtime_checkable
class ReadsTokens(Protocol):
    """A scorer that may read the tokens of the texts, from the encoder's text tower."""

    @property
    @abstractmethod
    def reads_tokens(self) -> bool:
        """Whether it does."""
        ...

    @abstractmethod
    def set_texts(self, texts: ClassTexts, *, tower: ClipTextTower | None = None) -> None:
        """Score other classes, or the same classes by other texts. The `tower` reads their tokens."""
        ...


def reads_of(classifier: object) -> ScorerReads:
    """Return what a scorer reads. A classifier reads the pooled embedding of the head."""
    return classifier.reads if isinstance(classifier, Scorer) else ScorerReads()
