"""What the user sees of long work: a bar on a terminal, plain lines elsewhere."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framebank.commands import printing
from framebank.commands.printing import Bar, BarOfParts, print_report, progress, say
from framebank.store.errors import PlaceError


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A time that stands still until the test moves it."""
    now = [1000.0]
    monkeypatch.setattr(printing.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_whole_lines_half_a_minute_apart(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(unit="step") as bar:
        for step in range(1, 101):
            clock[0] += 1.0
            bar.show(loss=f"{1 / step:.3f}")
            bar.move(step, 200)
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "30 of 200 steps, loss 0.033, 1.0 a second, 0:30 passed, about 2:50 left",
        "60 of 200 steps, loss 0.017, 1.0 a second, 1:00 passed, about 2:20 left",
        "90 of 200 steps, loss 0.011, 1.0 a second, 1:30 passed, about 1:50 left",
    ]
    assert not set(told) & {"\r", "\x1b"}


def test_a_log_of_short_work_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(100), total=100, unit="video")) == list(range(100))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("unit", "told"), [("batch", "2 of 9 batches"), ("query", "2 of 9 queries"), ("video", "2 of 9 videos")]
)
def test_units_in_a_log_are_plural(
    unit: str, told: str, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in progress(range(9), total=9, unit=unit, title="texts"):
        clock[0] += 20.0
    assert capsys.readouterr().err.splitlines()[0] == f"texts: {told}, 20.0 s each, 0:40 passed, about 2:20 left"


def test_hours_are_told_as_hours(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(unit="step") as bar:
        clock[0] += 3600.0
        bar.move(1, 3)
    assert capsys.readouterr().err == "1 of 3 steps, 3600.0 s each, 1:00:00 passed, about 2:00:00 left\n"


def test_a_terminal_gets_a_bar_that_counts_steps_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import tqdm

    monkeypatch.setattr(sys, "stderr", Terminal())
    made: list[Any] = []

    class Shown(tqdm.tqdm):  # type: ignore[type-arg,misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "delay": 0.0, "mininterval": 0.0})
            made.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Shown)
    with Bar(unit="step", title="fold") as bar:
        for step in range(1, 51):
            bar.show(loss="0.125")
            bar.move(step, 200)
    drawn = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert (made[0].n, made[0].total) == (50, 200)
    assert "fold:  25%" in drawn
    assert "50/200" in drawn
    assert "loss=0.125" in drawn
    assert drawn.count("<") >= 50  # [passed<left, rate]


def test_a_bar_moves_when_the_work_of_the_caller_is_done(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for item in progress("ab", total=2, unit="video"):
        clock[0] += 31.0
        assert ("1 of 2" in capsys.readouterr().err) == (item == "b")


def test_what_an_earlier_call_has_done_says_nothing_of_the_rate(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    bar = BarOfParts(per="epoch", unit="step", facts=lambda item, number, total: {"epoch": f"{item} of {total}"})

    def epochs() -> Iterator[int]:
        yield from (1, 2)  # kept by an earlier call, 50 steps each
        for step in range(101, 201):
            clock[0] += 1.0
            bar.tell(step, 200)
            if step % 50 == 0:
                yield step // 50

    assert list(bar.watch(epochs(), total=4, unit="epoch")) == [1, 2, 3, 4]
    assert capsys.readouterr().err.splitlines() == [
        "130 of 200 steps, epoch 2 of 4, 1.0 a second, 0:30 passed, about 1:10 left",
        "160 of 200 steps, epoch 3 of 4, 1.0 a second, 1:00 passed, about 0:40 left",
        "190 of 200 steps, epoch 3 of 4, 1.0 a second, 1:30 passed, about 0:10 left",
    ]


def test_results_that_cannot_be_printed_are_a_sentence_and_notes_stop_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", full)
        with pytest.raises(PlaceError, match="the results cannot be printed: No space left on device"):
            print_report({}, as_json=True, lines=[])
        say("a note")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()


def test_a_current_folder_that_was_removed(tmp_path: Path, framebank: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    found = framebank("store", "info", "/", exit_code=1)
    assert found.output == "Error: the current folder is not there any more; change to one that is\n"
