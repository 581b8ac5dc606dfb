"""Labels: the labels found for several videos. A sequence that prints as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from framebank.library.table import html_table, table

if TYPE_CHECKING:
    from framebank.heads.labelling.table import Labelled
    from framebank.store.ledger import Failure


@dataclass(frozen=True, repr=False)
class Labels(Sequence["Labelled"]):
    """The videos that got a label, in their order. `failed` has the videos that could not be read, with the reason."""

    labelled: tuple["Labelled", ...]
    failed: tuple["Failure", ...] = ()

    @overload
    def __getitem__(self, place: int) -> "Labelled": ...

    @overload
    def __getitem__(self, place: slice) -> "Labels": ...

    def __getitem__(self, place: "int | slice") -> "Labelled | Labels":
        return Labels(self.labelled[place]) if isinstance(place, slice) else self.labelled[place]

    def __len__(self) -> int:
        return len(self.labelled)

    def to_dict(self, *, top: int = 3) -> dict[str, Any]:
        """Return the videos with their `top` labels, and the videos that failed, as plain values."""
        return {
            "videos": [one.to_dict(top=top) for one in self.labelled],
            "failed": [
                {"video_id": failure.video_id, "path": failure.path, "reason": failure.reason}
                for failure in self.failed
            ],
        }

    def lines(self, *, top: int = 3) -> list[str]:
        """Return one row for each video, and one line for each video that failed."""
        return [*table(*self._cells(top)), *self._below()]

    def _cells(self, top: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        from framebank.heads.labelling.certainty import decimals

        rows: list[tuple[str, ...]] = []
        for one in self.labelled:
            ranked = one.top(top)
            if one.answers[0].labels:  # a run with thresholds for several labels
                ranked = ranked[: len(one.answers[0].labels)]
            places = decimals([score for _, score in ranked if score is not None])
            shown = ", ".join(name if score is None else f"{name} {score:.{places}f}" for name, score in ranked)
            if one.label_set is not None:
                shown += f"  {{{', '.join(one.label_set)}}}"
            rows.append((one.video.video_id, shown, one.by or "", "unsure" if one.unsure else ""))
        return ("video", "labels", "by", ""), rows

    def _below(self) -> list[str]:
        return [f"failed: {failure.reason}" for failure in self.failed]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(3), below=self._below())
