"""AdaptedTexts: the last blocks of an encoder's text tower, which learn beside those of the image tower."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.extract.adapters.methods import Live
    from framebank.extract.encoders.encoder import Encoder
    from framebank.extract.encoders.text_trunk import TextTrunk
    from framebank.heads.texts.live import LiveTexts
    from framebank.heads.training.recipe import Recipe
    from framebank.store import PromptBank

OF_FROZEN_TEXTS = ("masked-text",)  # losses that read the texts as the store's encoder gave them


@dataclass(frozen=True)
class AdaptedTexts:
    """The text tower of an encoder, cut before its last `blocks` blocks, and its tail as a method trains it."""

    encoder: "Encoder"
    trunk: "TextTrunk"
    live: "Live"
    blocks: int

    @classmethod
    def of(cls, encoder: "Encoder", *, method: str, blocks: int, rank: int, seed: int) -> "AdaptedTexts":
        """Cut the text tower of an encoder. DataError if it has fewer blocks, or cannot be cut."""
        from framebank.extract.adapters.text_methods import TextCut, make_live_texts

        trunk = encoder.text_trunk(blocks)
        return cls(encoder, trunk, make_live_texts(method, TextCut(trunk, blocks, rank), seed=seed), blocks)

    def embed(self, prompts: "PromptBank", recipe: "Recipe") -> "LiveTexts":
        """Return what embeds the sentences of prompts with the tail, in each step."""
        from framebank.heads.texts.live import LiveTexts

        tokens = self.encoder.reader.read(prompts.texts).to(self.encoder.device)
        entered = self.trunk.enter(tokens, blocks=self.blocks)
        return LiveTexts(prompts, self.live.tail, entered.states, entered.ends, scoring=recipe.scoring)


def require_texts(recipe: "Recipe") -> None:
    """Refuse a training that does not read the texts that the adapted tower makes: DataError."""
    from framebank.heads.training.loss_sum import read_losses

    if not recipe.reads_texts:
        raise DataError(
            f"text_adapter is for a classifier that reads texts; expected the classifier text, not "
            f"{recipe.classifier} (--classifier)"
        )
    frozen = next((name for name in OF_FROZEN_TEXTS if name in read_losses(recipe.loss)), None)
    if frozen:
        raise DataError(
            f"the loss {frozen} reads the texts before they are adapted; expected another loss with text_adapter, such "
            "as kl"
        )
