"""The benchmark of indexes: its tables have a name for each column."""

import pytest

from framebank.benchmarks.index import RATIOS, print_tables


def test_each_table_has_as_many_names_as_columns(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"rows": 1000, "type": "flat", "recall": 1.0, "p95": 0.1, "p95_computing": 0.1}
    print_tables(
        {
            "sizes": [{**row, "bytes": 4000, "build_clock": 2.0, "build_seconds": 3.0}],
            "against_faiss": [{**row, "batch": 1, **dict.fromkeys(RATIOS, 1.0)}],
            "filters": [{**row, "left": 10, "first": 0.5}],
        }
    )
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
