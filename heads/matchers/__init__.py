"""Matchers, (query, support, text, query_mask, support_mask) -> scores: a new one is one file and one row.

A matcher scores the queries of E episodes against the N classes of each, all at once:

    query         (E, Q, T, D), frames of the videos to recognise
    support       (E, N, K, T, D), frames of the K videos of each class
    text          (E, N, D), one embedding of each class, or None; a matcher that needs it raises ValueError
    query_mask    (E, Q, T), true where a frame is real
    support_mask  (E, N, K, T), as well
    -> scores     (E, Q, N) float32, higher is nearer; double where the frames are

Frames come in any floating type and of any length. Frames that are masked out change nothing, wherever they lie.
"""

from collections.abc import Callable

from torch import nn

from framebank.heads.matchers.mean import Mean
from framebank.heads.matchers.sloshnet import SloshNet
from framebank.heads.matchers.trx import Trx

# name -> (dim, **options) -> matcher
MATCHERS: dict[str, Callable[..., nn.Module]] = {
    "mean": Mean,
    "trx": Trx,
    "sloshnet": SloshNet,
}
