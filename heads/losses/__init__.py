"""Losses, Step -> one number: a new one is one file and one row. A training may add several up, each with its weight.

Each class states in its `traits` what it reads and what it learns (`LossTraits`).
"""

from framebank.heads.losses.bce import Bce
from framebank.heads.losses.consistency import Consistency
from framebank.heads.losses.contrastive import Contrastive
from framebank.heads.losses.cross_entropy import CrossEntropy
from framebank.heads.losses.diversity import Diversity
from framebank.heads.losses.froster import Froster
from framebank.heads.losses.kl import SymmetricKl
from framebank.heads.losses.loss import LossClass
from framebank.heads.losses.masked_text import MaskedText
from framebank.heads.losses.soft_kl import SoftKl
from framebank.heads.losses.softmax_ce import SoftmaxCe
from framebank.heads.losses.supcon import SupCon
from framebank.heads.losses.video_ce import VideoCe
from framebank.heads.losses.weighted_ce import WeightedCe

LOSSES: dict[str, LossClass] = {
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
