"""Totals: the table of docs/faults.md about kills, from the reports that `make kills` kept; run as a module."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from framebank.tests.places import ROOT

KEPT = ROOT / "build" / "kills.jsonl"  # a line of each command that was tried


def table(reports: Iterable[Mapping[str, Any]]) -> str:
    """Return the sums over the commands, in Markdown."""
    found = list(reports)
    changes, killed, full, completed, done = (
        sum(report[name] for report in found) for name in ("changes", "killed", "full", "completed", "was_done")
    )
    wrong = sum(len(report["wrong"]) for report in found)
    return (
        f"| commands | changes | killed | out of room | ended by one more run | done already | wrong |\n"
        f"|---|---|---|---|---|---|---|\n"
        f"| {len(found)} | {changes:,} | {killed:,} | {full:,} | {completed:,} | {done:,} | {wrong:,} |\n"
    )


if __name__ == "__main__":
    sys.stdout.write(table(json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()))
