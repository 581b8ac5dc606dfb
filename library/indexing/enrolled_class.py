"""EnrolledClass: a class of an index that was made from a few examples, and when a video passes for it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.table import html_lines
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.labelling.calibrate import ThresholdSource
    from framebank.store.indexes.index import Index


@dataclass(frozen=True, repr=False)
class EnrolledClass:
    """An enrolled class as it now is. It prints as the command `enroll` does.

    It has `num_given` new examples, `num_enrolled` in total, and `num_own` videos of the index with the same label. A
    video passes if its cosine to their mean is over `threshold`. The `num_others` videos of other classes set that
    threshold. It is None if they are too few, and then a video passes if it is nearer to the class than to any video of
    the index. `source` says which videos they are.
    """

    path: Path
    label: str
    num_given: int
    num_enrolled: int
    num_own: int
    num_others: int
    threshold: float | None
    source: "ThresholdSource"
    index_has_labels: bool = True

    @classmethod
    def of(cls, path: Path, index: "Index", label: str, *, num_given: int = 0) -> "EnrolledClass":
        """Return a class of the index in the folder `path`, after `num_given` examples were added."""
        from framebank.heads.labelling.calibrate import source_of
        from framebank.heads.labelling.enroll import describe

        has_labels = any(video.label for video in index.videos[: index.num_own])
        return cls(
            path,
            num_given=num_given,
            **asdict(describe(index, label)),
            source=source_of(index),
            index_has_labels=has_labels,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = ("label", "num_enrolled", "num_own", "num_others", "threshold")
        return {
            "index": str(self.path),
            "enrolled": self.num_given,
            **{name: getattr(self, name) for name in names},
            "thresholds": asdict(self.source),
        }

    def lines(self) -> list[str]:
        """Return what happened, the threshold, and what set it, as lines."""
        return [
            f"{counted(self.num_given, 'video')} enrolled as {self.label!r}, which now has "
            f"{counted(self.num_enrolled + self.num_own, 'example')} -> {self.path}",
            *self._threshold(),
            f"compared with {counted(self.num_others, 'video')} of other classes, of {self.source}",
        ]

    def _threshold(self) -> list[str]:
        from framebank.heads.labelling.calibrate import fewest

        if self.threshold is not None:
            return [
                f"threshold {self.threshold:.3f}: a video passes when its cosine to their mean is larger",
                f"at most {100 * self.source.share:g} % of the videos of other classes should pass",
            ]
        passes = "a video passes when it is nearer to the class than to any video of the index"
        if not self.index_has_labels:
            passes = "no video of the index has a label, so every video passes until `framebank calibrate` has some"
        return [f"no threshold: {fewest(self.source.share)} videos of other classes are needed to set one", passes]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_lines(self.lines())
