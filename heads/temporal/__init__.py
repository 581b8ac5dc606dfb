"""Temporal heads, (x (B, T, D), mask (B, T)) -> (B, D): a new one is one file and one row.

Each class states in its `traits` what it reads (`HeadTraits`). Its base types, such as `MixesFrames`, state what else
it can do.
"""

from framebank.heads.temporal.a5 import A5
from framebank.heads.temporal.attentive import Attentive
from framebank.heads.temporal.conv1d import Conv1d
from framebank.heads.temporal.gru import Gru
from framebank.heads.temporal.head import HeadClass
from framebank.heads.temporal.layer_fusion import LayerFusion
from framebank.heads.temporal.lstm import Lstm
from framebank.heads.temporal.m2clip import M2Clip
from framebank.heads.temporal.mean import Mean
from framebank.heads.temporal.mit import Mit
from framebank.heads.temporal.shift import Shift
from framebank.heads.temporal.sloshnet import SloshNet
from framebank.heads.temporal.tcn import Tcn
from framebank.heads.temporal.ted import Ted
from framebank.heads.temporal.transformer import Transformer
from framebank.heads.temporal.transformer_cls import TransformerCls
from framebank.heads.temporal.vivit import Vivit

HEADS: dict[str, HeadClass] = {
    "mean": Mean,
    "conv1d": Conv1d,
    "shift": Shift,
    "tcn": Tcn,
    "lstm": Lstm,
    "gru": Gru,
    "transformer": Transformer,
    "transformer-cls": TransformerCls,
    "attentive": Attentive,
    "mit": Mit,
    "a5": A5,
    "vivit": Vivit,
    "m2clip": M2Clip,
    "ted": Ted,
    "sloshnet": SloshNet,
    "sloshnet-layers": LayerFusion,
}
