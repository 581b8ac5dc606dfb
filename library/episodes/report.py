"""The report of a few-shot evaluation: the accuracy of each matcher over the same episodes, and how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.library.figures.report import protocol_lines
from framebank.library.table import csv_table, html_lines, html_table, markdown_table, percent, table


@dataclass(frozen=True)
class MatcherScore:
    """The accuracy of one matcher, a fraction: its mean over the episodes, and the 95 % `interval` of that mean.

    With few episodes the interval is None, and `accuracies` has the value of each episode. `is_baseline` marks a score
    that is added to the requested matchers: the texts of the classes, and the mean of the frames.
    """

    matcher: str
    is_baseline: bool
    accuracy: float
    interval: tuple[float, float] | None
    accuracies: tuple[float, ...]
    seconds: float
    protocol_hash: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "MatcherScore":
        """Read one row of an evaluation."""
        return cls(
            row["matcher"],
            row["baseline"],
            row["accuracy"],
            row["interval"],
            tuple(row.get("accuracies", ())),
            row["seconds"],
            row["protocol_hash"],
        )

    @property
    def name(self) -> str:
        """The matcher, marked if it is a baseline."""
        return f"{self.matcher} (baseline)" if self.is_baseline else self.matcher

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval, or with few episodes the lowest and the highest accuracy."""
        return self.interval or (min(self.accuracies), max(self.accuracies))

    def cells(self) -> tuple[str, str, str]:
        """Return the cells of accuracy, bounds and seconds."""
        low, high = self.bounds
        return f"{100 * self.accuracy:.2f} %", f"{100 * low:.2f}-{100 * high:.2f}", f"{self.seconds:.1f}"


@dataclass(frozen=True, repr=False)
class FewshotReport:
    """The first requested matcher, and in `scores` all matchers and baselines. It prints as the command.

    `accuracy` is a fraction. `interval` is its 95 % interval over the episodes (None if these are few). `classes` is
    the accuracy of each class, None for a class that was never drawn. `texts_missing` says why there are no texts, if
    there are none. `protocol` says how the figures were made.
    """

    matcher: str
    accuracy: float
    interval: tuple[float, float] | None
    classes: Mapping[str, float | None]
    scores: tuple[MatcherScore, ...]
    notes: tuple[str, ...]
    texts_missing: str
    protocol: Mapping[str, Any]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, values: Mapping[str, Any], *, texts_missing: str) -> "FewshotReport":
        """Build a report from the values of an evaluation."""
        return cls(
            values["matcher"],
            values["accuracy"],
            values["interval"],
            values["classes"],
            tuple(map(MatcherScore.of, values["scores"])),
            tuple(values["notes"]),
            texts_missing,
            values["made_by"],
            {**values, "texts_missing": texts_missing},
        )

    @property
    def shot(self) -> int:
        """The number of support videos of each class."""
        return int(self.protocol["shot"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return dict(self.values)

    def lines(self) -> list[str]:
        """Return the table, the hardest classes, and how the figures were made, as lines."""
        return [*table(*self._cells()), *self._below()]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [(score.name, *score.cells()) for score in self.scores]
        return ("matcher", "accuracy", bounds_name(self.scores[0]), "seconds"), rows

    def _below(self) -> list[str]:
        hardest = sorted((value, name) for name, value in self.classes.items() if value is not None)[:3]
        facts = self.protocol
        trained = f"run        trained on {facts.get('classes_trained_on')} of these classes"
        return [
            f"hardest classes of {self.matcher}: {', '.join(f'{name} {percent(value)}' for value, name in hardest)}",
            *[f"no texts   {self.texts_missing}"] * bool(self.texts_missing),
            *(f"note       {note}" for note in self.notes),
            *protocol_lines(facts),
            f"episodes   {episodes_line(facts)}, hash {facts['episodes_hash']}",
            *[trained] * ("classes_trained_on" in facts),
        ]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), below=self._below())


@dataclass(frozen=True, repr=False)
class FewshotComparison:
    """Matchers over several numbers of shots: a report for each number. `path` is the folder of the files, if any.

    It prints as the command `fewshot-compare`: a Markdown table, and how it was made.
    """

    reports: tuple[FewshotReport, ...]
    path: Path | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each number of shots and each matcher."""
        return [
            {"shot": report.shot, **{name: row[name] for name in row if name != "classes"}}
            for report in self.reports
            for row in report.values["scores"]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as plain values."""
        return {"out": str(self.path) if self.path else None, "scores": self.rows()}

    def markdown(self) -> list[str]:
        """Return a table with a row for each matcher and a column for each number of shots, and how it was made."""
        header = ("matcher", *(f"{report.shot}-shot" for report in self.reports))
        rows = []
        for scores in zip(*(report.scores for report in self.reports), strict=True):
            told = [f"{accuracy} ({bounds})" for accuracy, bounds, _ in (score.cells() for score in scores)]
            rows.append((scores[0].name, *told))
        facts = [report.protocol for report in self.reports]
        lines = [
            *markdown_table(header, rows),
            "",
            f"In brackets: {bounds_name(self.reports[0].scores[0])} over the episodes.",
            f"Encoder: {facts[0]['model']}, weights {facts[0]['weights_hash'][:12]}. Frames: {facts[0]['sampling']}.",
            f"Classes: {facts[0]['classes']}. Videos: {facts[0]['videos_evaluated']}. Split: {facts[0]['split']}.",
        ]
        return [*lines, *(f"Episodes: {episodes_line(each)}, hash {each['episodes_hash']}." for each in facts)]

    def csv(self) -> str:
        """Return a CSV with a line for each matcher and number of shots."""
        columns = ("shot", "matcher", "baseline", "accuracy", "low", "high", "seconds", "protocol_hash")
        told = []
        for row in self.rows():
            low, high = MatcherScore.of(row).bounds
            told.append([{**row, "low": low, "high": high}.get(name) for name in columns])
        return csv_table(columns, told)

    def lines(self) -> list[str]:
        """Return the Markdown table, and where the files are."""
        return [*self.markdown(), *["", f"written to {self.path}"] * bool(self.path)]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        header = ("matcher", *(f"{report.shot}-shot" for report in self.reports))
        columns = zip(*(report.scores for report in self.reports), strict=True)
        rows = [(scores[0].name, *(score.cells()[0] for score in scores)) for scores in columns]
        return html_table(header, rows) + html_lines(self.markdown()[len(rows) + 2 :])


def bounds_name(score: MatcherScore) -> str:
    """Return the name of the bounds of an accuracy: 95 % interval, or lowest and highest of few episodes."""
    return "95 % interval" if score.interval else "lowest-highest"


def episodes_line(facts: Mapping[str, Any]) -> str:
    """Return a description of the episodes."""
    way = f"{facts['way']}-way" if facts["way"] else f"all {facts['classes']} classes,"
    queries = ""
    if facts["way"]:
        queries = f" with {facts['query']} {'query' if facts['query'] == 1 else 'queries'} of each class"
    return f"{facts['episodes']} of {way} {facts['shot']}-shot{queries}, seed {facts['seed']}"
