"""TrainedMatcher: a matcher that was trained by episodes, its folder, and how the training went."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import typed
from framebank.library.table import html_lines, percent
from framebank.store.counts import counted

if TYPE_CHECKING:
    from framebank.heads.fewshot.run import FewshotRun


@typed
@dataclass(frozen=True, eq=False, repr=False)
class TrainedMatcher:
    """A matcher and its folder. `fb.fewshot(bank, run=...)` scores with it.

    `seconds` and `loss` come from the training, and are None if the matcher was opened from its folder. After a
    training, it prints as the command `fewshot-train`.
    """

    path: Path
    run: "FewshotRun"
    device: str = "auto"
    seconds: float | None = None
    loss: float | None = None

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> "TrainedMatcher":
        """Open the matcher in a folder. DataError if there is none."""
        from framebank.heads.fewshot.run import FewshotRun

        return cls(Path(path), FewshotRun.read(path), device)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes that it was trained on."""
        return tuple(self.run.labels)

    def to_dict(self) -> dict[str, Any]:
        """Return how it was trained, as plain values."""
        return {
            "run": str(self.path),
            "seconds": self.seconds,
            "loss": self.loss,
            **self.run.trained_on,
            "recipe": self.run.recipe.to_dict(),
        }

    def lines(self) -> list[str]:
        """Return lines that say what was trained, on which videos, and how well it did."""
        recipe, facts = self.run.recipe, self.run.trained_on
        took = f" in {self.seconds:.1f} s" if self.seconds is not None else ""
        val = "no validation videos: the last step is kept"
        if facts["val_accuracy"] is not None:
            val = (
                f"best {facts['val_way']}-way accuracy {percent(facts['val_accuracy'])}, on "
                f"{counted(facts['val_classes'], 'validation class', 'validation classes')} "
                f"({facts['val_classes_also_trained']} of them trained on)"
            )
        return [
            f"{recipe.matcher}, {recipe.way}-way {recipe.shot}-shot, on {counted(facts['train_videos'], 'video')} of "
            f"{counted(facts['train_classes'], 'class', 'classes')}{took} -> {self.path}",
            f"loss {self.loss:.4f}, {val}" if self.loss is not None else val,
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_lines(self.lines())
