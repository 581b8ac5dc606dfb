"""Kinds of protocols: what is made of a store and a protocol; a new kind is one module and one row.

The keys that a kind reads in a protocol file are in `heads.evaluation.named.KINDS`.
"""

from framebank.library.figures.kinds.base_to_novel import score_base_to_novel
from framebank.library.figures.kinds.episodes import score_episodes
from framebank.library.figures.kinds.kind import ProtocolFigures, ProtocolKind, ProtocolRequest
from framebank.library.figures.kinds.supervised import score_supervised
from framebank.library.figures.kinds.zero_shot import score_zero_shot

__all__ = ["KINDS", "ProtocolFigures", "ProtocolKind", "ProtocolRequest"]

KINDS: dict[str, ProtocolKind] = {
    "supervised": ProtocolKind(score_supervised, "trains runs of its own", ("recipe", "runs", "lexicon")),
    "zero-shot": ProtocolKind(score_zero_shot, "trains nothing", ("run",)),
    "base-to-novel": ProtocolKind(score_base_to_novel, "trains runs of its own", ("recipe", "runs", "lexicon")),
    "episodes": ProtocolKind(score_episodes, "draws episodes", ("run", "matchers")),
}
