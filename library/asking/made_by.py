"""What gave labels: the encoder, the frames, the sources, and what set the thresholds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from framebank.library.labelling import Asked

if TYPE_CHECKING:
    from framebank.heads.labelling.calibrate import ThresholdSource
    from framebank.heads.labelling.table import Labelled


@dataclass(frozen=True)
class LabelsMadeBy:
    """What gave the labels of some videos: the sources (`by`), and how the videos were embedded.

    `thresholds` says what set the thresholds, if an answer was compared with one.
    """

    encoder: str
    sampling: str
    by: str
    thresholds: "ThresholdSource | None" = None

    @classmethod
    def of(cls, asked: Sequence[Asked], *, by: str, labelled: "Sequence[Labelled]") -> "LabelsMadeBy":
        """Return what gave the labels of videos, from the sources that were asked."""
        judged = any(answer.threshold is not None for one in labelled for answer in one.answers)
        thresholds = next((each.thresholds for each in asked if each.thresholds and judged), None)
        encoder = asked[0].encoder
        name = encoder.spec.encoder if encoder else asked[0].spec.encoder
        return cls(name, asked[0].spec.sampling, by, thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)
