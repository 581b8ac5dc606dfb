"""What a few-shot evaluation looks like: a row of a table, a Markdown table, a CSV."""

from collections.abc import Sequence
from typing import Any

from framebank.library.table import csv_table, markdown_table


def row_name(row: dict[str, Any]) -> str:
    """Return the name of a matcher, marked where it is a baseline."""
    return f"{row['matcher']} (baseline)" if row["baseline"] else str(row["matcher"])


def cells(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return the cells of accuracy, what `spread_name` says, and seconds."""
    low, high = row["interval"] or (min(row["accuracies"]), max(row["accuracies"]))
    return f"{100 * row['accuracy']:.2f} %", f"{100 * low:.2f}-{100 * high:.2f}", f"{row['seconds']:.1f}"


def spread_name(row: dict[str, Any]) -> str:
    """Return what stands beside an accuracy: its 95 % interval, or the lowest and highest of few episodes."""
    return "95 % interval" if row["interval"] else "lowest-highest"


def episodes_line(facts: dict[str, Any]) -> str:
    """Return what the episodes are, in words."""
    way = f"{facts['way']}-way" if facts["way"] else f"all {facts['classes']} classes,"
    queries = ""
    if facts["way"]:
        queries = f" with {facts['query']} {'query' if facts['query'] == 1 else 'queries'} of each class"
    return f"{facts['episodes']} of {way} {facts['shot']}-shot{queries}, seed {facts['seed']}"


def markdown(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table with a row for each matcher and a column for each number of shots, and what made it."""
    header = ("matcher", *(f"{report['made_by']['shot']}-shot" for report in reports))
    of_matchers = zip(*(report["scores"] for report in reports), strict=True)
    rows = [
        (row_name(row[0]), *(f"{accuracy} ({spread})" for accuracy, spread, _ in map(cells, row)))
        for row in of_matchers
    ]
    facts = [report["made_by"] for report in reports]
    lines = [
        *markdown_table(header, rows),
        "",
        f"In brackets: {spread_name(reports[0])} over the episodes.",
        f"Encoder: {facts[0]['model']}, weights {facts[0]['weights_hash'][:12]}. Frames: {facts[0]['sampling']}.",
        f"Classes: {facts[0]['classes']}. Videos: {facts[0]['videos_evaluated']}. Split: {facts[0]['split']}.",
    ]
    return [*lines, *(f"Episodes: {episodes_line(each)}, hash {each['episodes_hash']}." for each in facts)]


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return a CSV with a line for each matcher and number of shots."""
    columns = ("shot", "matcher", "baseline", "accuracy", "low", "high", "seconds", "protocol_hash")
    told = []
    for row in rows:
        low, high = row["interval"] or (min(row["accuracies"]), max(row["accuracies"]))
        told.append([{**row, "low": low, "high": high}.get(name) for name in columns])
    return csv_table(columns, told)
