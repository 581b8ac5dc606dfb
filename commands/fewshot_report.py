"""How a few-shot evaluation is shown: a row of a table, a Markdown table, a CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any


def row_name(row: dict[str, Any]) -> str:
    """Return the name of a matcher, with a mark if it is a baseline."""
    return f"{row['matcher']} (baseline)" if row["baseline"] else str(row["matcher"])


def cells(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return the cells of accuracy, spread (see `spread_name`) and seconds."""
    low, high = row["interval"] or (min(row["accuracies"]), max(row["accuracies"]))
    return f"{100 * row['accuracy']:.2f} %", f"{100 * low:.2f}-{100 * high:.2f}", f"{row['seconds']:.1f}"


def spread_name(row: dict[str, Any]) -> str:
    """Return the name of the spread of an accuracy: its 95 % interval, or the lowest and highest of few episodes."""
    return "95 % interval" if row["interval"] else "lowest-highest"


def episodes_line(facts: dict[str, Any]) -> str:
    """Describe the episodes in words."""
    way = f"{facts['way']}-way" if facts["way"] else f"all {facts['classes']} classes,"
    queries = ""
    if facts["way"]:
        queries = f" with {facts['query']} {'query' if facts['query'] == 1 else 'queries'} of each class"
    return f"{facts['episodes']} of {way} {facts['shot']}-shot{queries}, seed {facts['seed']}"


def markdown(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table with a row for each matcher and a column for each number of shots, and what made it."""
    lines = [
        f"| matcher | {' | '.join(str(report['made_by']['shot']) + '-shot' for report in reports)} |",
        f"|---|{'---|' * len(reports)}",
    ]
    for rows in zip(*(report["scores"] for report in reports), strict=True):
        told = []
        for row in rows:
            accuracy, spread, _ = cells(row)
            told.append(f"{accuracy} ({spread})")
        lines.append(f"| {row_name(rows[0])} | {' | '.join(told)} |")
    facts = [report["made_by"] for report in reports]
    lines += [
        "",
        f"In brackets: {spread_name(reports[0])} over the episodes.",
        f"Encoder: {facts[0]['model']}, weights {facts[0]['weights_hash'][:12]}. Frames: {facts[0]['sampling']}.",
        f"Classes: {facts[0]['classes']}. Videos: {facts[0]['videos_evaluated']}. Split: {facts[0]['split']}.",
    ]
    return [*lines, *(f"Episodes: {episodes_line(each)}, hash {each['episodes_hash']}." for each in facts)]


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return a CSV with a line for each matcher and number of shots."""
    text = io.StringIO()
    columns = ("shot", "matcher", "baseline", "accuracy", "low", "high", "seconds", "protocol_hash")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        low, high = row["interval"] or (min(row["accuracies"]), max(row["accuracies"]))
        writer.writerow({**row, "low": low, "high": high})
    return text.getvalue()
