"""Fixed: the class embeddings as the text tower gave them."""

from torch import Tensor, nn

from framebank.heads.texts.text import TextTraits


class Fixed(nn.Module):
    """Nothing is learned; serves any classes."""

    traits = TextTraits()

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()

    def require_classes(self, num_classes: int) -> None:
        """Accept any number of classes."""

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Return text embeddings (..., D) of classes (...) as they are."""
        return embeddings
