"""Losses, Step -> one number: a new one is one file and one row. A training may add several up, each with its weight.

`reads_texts` says that a loss needs the texts of the classes and a classifier that scores with them; `reads_labels`
that it learns the classes, rather than holds back another loss that does; `multi_label` that videos may have several
labels, or must not, or, with None, that it is all the same. One that learns how much of a video each class is, which
`mixup` makes a part, has `reads_shares`; one that reads a recipe's `label_smoothing` has `smooths_labels`, and one of
the logits, which `logit_adjustment` moves, `reads_logits`.
"""

from typing import Any

from framebank.heads.losses.bce import Bce
from framebank.heads.losses.consistency import Consistency
from framebank.heads.losses.contrastive import Contrastive
from framebank.heads.losses.cross_entropy import CrossEntropy
from framebank.heads.losses.diversity import Diversity
from framebank.heads.losses.froster import Froster
from framebank.heads.losses.kl import SymmetricKl
from framebank.heads.losses.masked_text import MaskedText
from framebank.heads.losses.soft_kl import SoftKl
from framebank.heads.losses.softmax_ce import SoftmaxCe
from framebank.heads.losses.supcon import SupCon
from framebank.heads.losses.video_ce import VideoCe
from framebank.heads.losses.weighted_ce import WeightedCe

# name -> a class of (dim, num_classes, label_smoothing=), with `reads_texts`, `reads_labels` and `multi_label`
LOSSES: dict[str, Any] = {
    "kl": SymmetricKl,
    "contrastive": Contrastive,
    "ce": CrossEntropy,
    "weighted-ce": WeightedCe,
    "softmax-ce": SoftmaxCe,
    "video-ce": VideoCe,
    "supcon": SupCon,
    "masked-text": MaskedText,
    "bce": Bce,
    "soft-kl": SoftKl,
    "froster": Froster,
    "consistency": Consistency,
    "diversity": Diversity,
}
