"""Matchers, (query, support, text, query_mask, support_mask) -> scores: a new one is one file and one row.

A matcher scores the queries of E episodes against the N classes of each episode, all at once:

    query         (E, Q, T, D), frames of the videos to recognise
    support       (E, N, K, T, D), frames of the K videos of each class
    text          (E, N, D), one embedding of each class, or None; a matcher that needs it raises ValueError
    query_mask    (E, Q, T), true where a frame is real
    support_mask  (E, N, K, T), as well
    -> scores     (E, Q, N) float32, higher is nearer; double where the frames are

Each class says in its `traits` whether it reads the texts and whether it learns from the support (`MatcherTraits`).

A matcher that first sees each video by itself may prepare videos (`framebank.heads.matchers.prepared`): in scoring
many episodes that is done once for each.

Frames come in any floating type and of any length. Frames that are masked out change nothing, wherever they lie.
"""

from collections.abc import Sequence

from framebank.heads.matchers.bi_mhm import BiMhm
from framebank.heads.matchers.chamfer import Chamfer
from framebank.heads.matchers.chamfer_plus import ChamferPlus
from framebank.heads.matchers.clip_fsar import ClipFsar
from framebank.heads.matchers.combine import Combine
from framebank.heads.matchers.diagonal import Diagonal
from framebank.heads.matchers.gghm import Gghm
from framebank.heads.matchers.hyrsm import Hyrsm
from framebank.heads.matchers.hyrsm_plus_plus import HyrsmPlusPlus
from framebank.heads.matchers.linear import Linear
from framebank.heads.matchers.linear_probe import LinearProbe
from framebank.heads.matchers.ma_clip import MaClip
from framebank.heads.matchers.matcher import MatcherClass
from framebank.heads.matchers.max import Max
from framebank.heads.matchers.mean import Mean
from framebank.heads.matchers.otam import Otam
from framebank.heads.matchers.ridge import Ridge
from framebank.heads.matchers.sloshnet import SloshNet
from framebank.heads.matchers.text import Text
from framebank.heads.matchers.text_residual import TextResidual
from framebank.heads.matchers.tip_adapter import TipAdapter
from framebank.heads.matchers.trx import Trx
from framebank.heads.matchers.tuple import Tuple

MATCHERS: dict[str, MatcherClass] = {
    "mean": Mean,
    "max": Max,
    "diagonal": Diagonal,
    "linear": Linear,
    "otam": Otam,
    "bi-mhm": BiMhm,
    "chamfer": Chamfer,
    "chamfer++": ChamferPlus,
    "tuple": Tuple,
    "text": Text,
    "combine": Combine,
    # These are fitted to the support of each episode.
    "ridge": Ridge,
    "linear-probe": LinearProbe,
    "tip-adapter": TipAdapter,
    "text-residual": TextResidual,
    # These are trained by episodes (`framebank fewshot-train`).
    "trx": Trx,
    "hyrsm": Hyrsm,
    "hyrsm++": HyrsmPlusPlus,
    "clip-fsar": ClipFsar,
    "ma-clip": MaClip,
    "gghm": Gghm,
    "sloshnet": SloshNet,
}

# Those that score by the texts of the classes, and are of no use without. (`tuple` is a module of this package.)
READS_TEXT: Sequence[str] = [name for name, matcher in MATCHERS.items() if matcher.traits.reads_text]
