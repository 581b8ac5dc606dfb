"""Report: the scores of a run, or of texts alone, on a split of a store, and how they were made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framebank.heads.training.forms import EARLIER
from framebank.library.figures.intervals import between, interval_of
from framebank.library.table import html_table, percent, table
from framebank.store.counts import counted
from framebank.store.spec import name_of_encoder


@dataclass(frozen=True, repr=False)
class Report:
    """The figures of one evaluation. It prints as the table of the command line.

    top1, top5 and mean_class_accuracy are fractions from 0 to 1. `interval` is the 95 % interval of top1. If videos
    have several labels, these are None, `map` is the mean average precision, and the interval is that of `map`.
    `labels` are the C classes. `confusion` counts the videos of each true class (a row) by their predicted class.
    `classes` has the accuracy or the average precision of each class, and None for a class without a video. `protocol`
    says how the figures were made: videos, encoder, frames, texts. If several ways were scored, such as names and
    descriptions, `others` holds the report of each, this one included, in the order of scoring. --json prints
    `to_dict()`.
    """

    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
    interval: tuple[float, float] | None
    map: float | None
    videos_evaluated: int
    videos_listed: int
    videos_without_label: int
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    classes: Mapping[str, float | None]
    protocol: Mapping[str, Any]
    about: Mapping[str, str]
    values: Mapping[str, Any]
    others: tuple["Report", ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any], *, about: Mapping[str, str], others: tuple["Report", ...] = ()) -> "Report":
        """Build a report from the values of an evaluation. `about` are table cells that come before the figures."""
        return cls(
            top1=values.get("top1"),
            top5=values.get("top5"),
            mean_class_accuracy=values.get("mean_class_accuracy"),
            interval=interval_of(values),
            map=values.get("map"),
            videos_evaluated=values["made_by"]["videos_evaluated"],
            videos_listed=values["videos_listed"],
            videos_without_label=values["videos_without_label"],
            labels=tuple(values["labels"]),
            confusion=tuple(map(tuple, values.get("confusion", ()))),
            classes=_classes(values),
            protocol=values["made_by"],
            about=about,
            values=values,
            others=others,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return dict(self.values)

    def figures(self) -> dict[str, str]:
        """Return the figures as they are printed, by the names of their columns."""
        if self.map is not None:
            told = f"{sum(value is not None for value in self.classes.values())} of {len(self.labels)} occur"
            return {"mAP": percent(self.map), **_interval_cell(self.interval), "classes": told}
        assert self.top1 is not None and self.interval and self.top5 is not None
        return {
            "top-1": percent(self.top1),
            **_interval_cell(self.interval),
            "top-5": percent(self.top5),
            "class mean": percent(self.mean_class_accuracy or 0.0),
        }

    def lines(self) -> list[str]:
        """Return the lines of the table and of how the figures were made."""
        header, rows = self._cells()
        return [*table(header, rows), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        shown = self.others or (self,)
        rows = [tuple({**one.about, **one.figures()}.values()) for one in shown]
        return tuple({**self.about, **self.figures()}), rows

    def _below(self) -> list[str]:
        without = self.videos_without_label
        left_out = [f"left out   {counted(without, 'video')} without a label"] if without else []
        return [
            *protocol_lines(self.protocol),
            *confidence_lines(self.values),
            *threshold_lines(self.values),
            *left_out,
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        header, rows = self._cells()
        return html_table(header, rows, below=self._below())


def _interval_cell(interval: tuple[float, float] | None) -> dict[str, str]:
    """The cell of an interval, by its column; none if there is none."""
    return {"95 %": between(interval)} if interval else {}


def _classes(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the accuracy of each class, or its average precision if videos have several labels."""
    each = values.get("average_precision")
    if each is None:
        rows = enumerate(values["confusion"])
        each = [row[place] / sum(row) if sum(row) else None for place, row in rows]
    return dict(zip(values["labels"], each, strict=True))


def confidence_lines(values: Mapping[str, Any]) -> list[str]:
    """Return lines that say how reliable the probabilities are; none if videos have several labels."""
    found = values.get("confidence")
    if not found:
        return []
    scaled = f" ({percent(found['unscaled']['ece'])} unscaled)" if "unscaled" in found else ""
    chance = f", {percent(found['ece_by_chance'])} by chance" if "ece_by_chance" in found else ""  # of earlier versions
    rest = f"Brier {found['brier']:.3f}, NLL {found['nll']:.3f}"
    half = next(row for row in reversed(found["coverage"]))
    told = f"of the surest half {percent(half['accuracy'])} are right"
    return [f"confidence calibration error {percent(found['ece'])}{scaled}{chance}, {rest}; {told}"]


def threshold_lines(values: Mapping[str, Any]) -> list[str]:
    """Return a line that says what the labels above their thresholds are worth; none if the run has no thresholds."""
    found = values.get("thresholds")
    if not found:
        return []
    micro, half = percent(found["micro_f1"]), percent(found["at_half"]["f1"])
    told = f"precision {percent(found['precision'])}, recall {percent(found['recall'])}"
    return [f"thresholds class mean F1 {percent(found['f1'])} ({half} at 0.5), F1 of all labels {micro}, {told}"]


def protocol_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return lines that say how a figure was made."""
    encoder = f"{name_of_encoder(facts['model'], facts['pretrained'])}, weights {facts['weights_hash'][:12]}"
    lines = [
        "",
        f"videos     {facts['videos_evaluated']} of {facts['videos_listed']} listed in split {facts['split']}",
        f"encoder    {encoder}, {facts['precision']}",
        f"frames     {facts['sampling']}, {facts['view']}, decoder {facts['decoder']}",
    ]
    templates = facts.get("templates")
    if templates:
        shown = "; ".join(templates[:2]) + ("; ..." if len(templates) > 2 else "")
        lines.append(
            f"texts      {facts['texts']}, {counted(len(templates), 'template')} ({shown}), {facts['scoring']} averaged"
        )
    if any((facts.get(name) or {}).get("form") == EARLIER for name in ("recipe", "fewshot_recipe")):
        lines.append(f"methods    as framebank 0.1 computes them (form {EARLIER}), not as their authors' code does")
    return [*lines, f"protocol   {facts['protocol_hash']}"]
