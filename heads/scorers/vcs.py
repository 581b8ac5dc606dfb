"""Vcs: BIKE's video concept spotting: the words of a class choose its frames."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits
from framebank.heads.logit_scale import LogitScale
from framebank.heads.scorers.parts import in_parts
from framebank.heads.scorers.rows import class_matrix, row_mask
from framebank.heads.scorers.scorer import ReadsTokens, Scorer, ScorerReads
from framebank.heads.scorers.tokens import encode_words
from framebank.heads.text_tower import ClipTextTower
from framebank.store.counts import counted
from framebank.store.errors import DataError

WORDS = ("texts", "tokens")


@final
class Vcs(nn.Module, Scorer, ReadsTokens):
    """BIKE's temporal concept spotting (Wu et al. 2023, arXiv 2301.00182): each class weighs the frames by its words.

    For a class's words S (W, D), its embedding s and unit frames F (T, D): the weights of the frames are
    softmax over T of F S / temperature, averaged over the words, v is the frames' weighted sum, and the score v . s
    times a learned scale, which starts at the encoder's. As published v is not made unit, so that a video whose chosen
    frames agree scores higher; with `unit_video` it is.

    The frames are those that the head makes before it pools them: the published code puts ActionCLIP's transformer
    under it in all but four of its configurations (`transformer` here), and nothing in those (`mean`). Heads that make
    no frames, such as attentive, are refused. Without `head_frames` it scores the stored ones.

    With `words` "texts" a class's words are its rows, each of its templates or descriptions as a whole; with one text
    for each class that is the text itself. With "tokens" they are the paper's: the text tower's outputs at each token,
    projected and unit, of the class's first text, which is its name in the first template, or its first description.
    Those between start and end count; the published code averages over all 77 places, start, end and padding among
    them. CLIP learned to match pictures with its output at the end alone: the paper trains the tower, a frozen one has
    never brought its other outputs near the frames. s is the mean of all templates either way. The tokens are kept in
    the run, which scores its own classes without the tower; others need it.

    The paper's second branch, attributes that a lexicon gives the video, is not part of this.

    `head_share` is the share of the head's own cosine to s in the score, 0 in the paper.
    """

    traits = ClassifierTraits(reads_texts=True)
    words: Tensor
    spoken: Tensor
    classes: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        words: str = "texts",
        temperature: float = 0.01,
        head_share: float = 0.0,
        head_frames: bool = True,
        unit_video: bool = False,
        learn_scale: bool = True,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise DataError(f"temperature is {temperature}; expected more than 0")
        if words not in WORDS:
            raise DataError(f"words {words!r} are not known; expected one of {', '.join(WORDS)}")
        self.words_are_tokens = words == "tokens"
        self.temperature = temperature
        self.head_share = head_share
        self.head_frames = head_frames
        self.unit_video = unit_video
        self.scale = LogitScale(texts.logit_scale, learned=learn_scale)
        rows, spoken = texts.rows, row_mask(texts)
        if self.reads_tokens:  # the tokens come with the tower, or from a checkpoint
            rows, spoken = rows.new_zeros(num_classes, 1, dim), spoken.new_zeros(num_classes, 1)
        self.register_buffer("words", rows)  # (C, W, D)
        self.register_buffer("spoken", spoken)  # (C, W), true if there is a word
        self.register_buffer("classes", class_matrix(texts))  # (C, D)

    @property
    def reads(self) -> ScorerReads:
        """It weighs the frames by all words of a class at once. It reads the head's output if that has a share."""
        return ScorerReads(pooled=bool(self.head_share), head_frames=self.head_frames, all_texts=True)

    @property
    def reads_tokens(self) -> bool:
        """Whether the words of a class are the tokens of its text."""
        return self.words_are_tokens

    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100."""
        self.scale.bound()

    def set_texts(self, texts: ClassTexts, *, tower: ClipTextTower | None = None) -> None:
        """Score other classes, or the same classes by other texts. The `tower` reads their tokens.

        ValueError if the words are tokens and there is no tower. DataError if a text has no token.
        """
        device = self.words.device
        words, spoken = texts.rows, row_mask(texts)
        if self.reads_tokens:
            words, spoken = self._read(texts, tower)
        self.words, self.spoken, self.classes = words.to(device), spoken.to(device), class_matrix(texts).to(device)

    def _read(self, texts: ClassTexts, tower: ClipTextTower | None) -> tuple[Tensor, Tensor]:
        if tower is None:
            raise ValueError(
                f"the tokens of {counted(len(self.words), 'class', 'classes')} were read by the text tower, which "
                "the run lacks; other "
                "classes or texts need the tower, as `framebank zeroshot --run` has it"
            )
        if not texts.sentences:
            raise ValueError("the classes have embeddings and no sentences, whose tokens could be read")
        return encode_words(tower, texts.sentences)

    def forward(self, frames: Tensor, mask: Tensor, pooled: Tensor | None) -> Tensor:
        """Score frames (B, T, D), mask (B, T), and the output of the head (B, D) -> logits (B, C)."""
        cosines = in_parts(self._spot, frames, mask)
        if self.head_share and pooled is not None:
            cosines = cosines.lerp(F.normalize(pooled, dim=-1) @ self.classes.T, self.head_share)
        scaled: Tensor = self.scale(cosines)
        return scaled

    def _spot(self, frames: Tensor, mask: Tensor) -> Tensor:
        unit = F.normalize(frames, dim=-1).masked_fill(~mask.unsqueeze(-1), 0)  # (B, T, D)
        near = torch.einsum("btd,cwd->bcwt", unit, self.words) / self.temperature
        weights = near.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(-1)
        weights = (weights * self.spoken[..., None]).sum(2) / self.spoken.sum(1).clamp(min=1).unsqueeze(1)  # (B, C, T)
        scores: Tensor = (weights * (unit @ self.classes.T).transpose(1, 2)).sum(-1)  # (B, C)
        if not self.unit_video:
            return scores
        # The length of v, from the products of the frames with each other: v itself would be (B, C, D).
        square = (weights @ (unit @ unit.transpose(1, 2)) * weights).sum(-1)
        return scores / square.clamp(min=1e-12).sqrt()
