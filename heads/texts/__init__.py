"""What may be learned of the class embeddings, ((..., D), classes (...)) -> (..., D): one file and one row each.

Each is a module of `(dim, num_classes, **options)` that says in `require_classes` whether it serves other classes than
those it was trained with; `keeps_classes` says that it learned something of each of them. One with `reads_tower` must
`meet` the encoder's text tower before it is trained.
"""

from collections.abc import Callable

from torch import nn

from framebank.heads.texts.adapter import Adapter
from framebank.heads.texts.context import Context
from framebank.heads.texts.fixed import Fixed
from framebank.heads.texts.residual import Residual

TEXTS: dict[str, Callable[..., nn.Module]] = {
    "fixed": Fixed,
    "residual": Residual,
    "adapter": Adapter,
    "context": Context,
}
