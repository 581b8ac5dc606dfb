"""TextAdapters: M2-CLIP's adapters of the last blocks of a text tower, which stay beside its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

SHARE = 0.75  # of the width: M2-CLIP has 384 of 512
TEXT = "text."  # what the names of these tensors begin with in the file of the adapters of both towers


class TextAdapter(nn.Module):
    """M2-CLIP's adapter of a text (Wang et al. 2024, arXiv 2401.11649): x (N, L, W) + up(gelu(down x)).

    `up` starts as zeros, so that the first output is x. M2-CLIP's code draws it at random.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = round(SHARE * width)
        self.down, self.up = nn.Linear(width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the adapted states, of the same shape."""
        changed: Tensor = x + self.up(nn.functional.gelu(self.down(x)))
        return changed


class TextAdapters(nn.Module):
    """One adapter before each of the last `blocks` blocks of a text tower.

    `put_into` has each change what enters its block, and `take_out` ends that. The blocks stay in their places.
    """

    def __init__(self, width: int, *, blocks: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(TextAdapter(width) for _ in range(blocks))
        self._hooks: list[Any] = []

    def put_into(self, blocks: Sequence[nn.Module]) -> None:
        """Put the adapters before the last of these blocks."""
        for adapter, block in zip(self.before, blocks[-len(self.before) :], strict=True):
            self._hooks.append(block.register_forward_pre_hook(_Before(adapter)))

    def take_out(self) -> None:
        """Let the blocks read what enters them again."""
        while self._hooks:
            self._hooks.pop().remove()


def both_towers(
    images: Mapping[str, Tensor] | None, texts: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor] | None:
    """Return the tensors of the adapters of an image tower and of a text tower under names that keep them apart.

    None if there are none beside the image tower, which is then whole without them.
    """
    if images is None:
        return None
    return {**images, **{f"{TEXT}{name}": tensor for name, tensor in (texts or {}).items()}}


def of_both_towers(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of the image tower, and those of the text tower: the inverse of `both_towers`."""
    texts = {name.removeprefix(TEXT): tensor for name, tensor in tensors.items() if name.startswith(TEXT)}
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(TEXT)}, texts


@dataclass(frozen=True)
class _Before:
    """The hook that has an adapter change what enters a block."""

    adapter: nn.Module

    def __call__(self, block: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.adapter(given[0]), *given[1:])
