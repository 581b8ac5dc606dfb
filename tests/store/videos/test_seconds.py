"""Seconds: a cell tells a length as a number or as a clock shows it, and other texts tell none."""

import pytest

from framebank.store.videos.seconds import seconds_in


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("0", 0.0),
        ("1e2", 100.0),
        ("00:12", 12.0),
        ("0:07.5", 7.5),
        ("75:30", 4530.0),
        ("01:02:03", 3723.0),
        *[(cell, None) for cell in ("", "-1", "1e999", "nan", "12 s", "long")],
        *[(cell, None) for cell in ("1:60", "1:2:3:4", "-0:12", ":12", "12:")],
    ],
)
def test_a_cell_tells_seconds_or_nothing(cell: str, seconds: float | None) -> None:
    assert seconds_in(cell) == seconds
