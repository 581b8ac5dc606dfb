"""A request to end: what was begun is cleaned up, one line is printed, and the exit code names the signal."""

import contextlib
import cProfile
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from framebank.commands.signals import AGAIN_SECONDS, ENDING, Ended, ended_by_signals
from framebank.tests.places import TESTS
from framebank.tests.worlds.cli import hear_interrupts


@pytest.fixture(autouse=True)
def unignored() -> Iterator[None]:
    """The tests may run under nohup."""
    usual = {signal.SIGINT: signal.default_int_handler}
    before = {one: signal.signal(one, usual.get(one, signal.SIG_DFL)) for one in ENDING}
    yield
    for one, was in before.items():
        signal.signal(one, was)


def send(*numbers: int) -> None:
    for number in numbers:
        signal.pthread_kill(threading.get_ident(), number)


def work_long() -> None:
    """Never come to an end by itself."""
    while True:
        time.sleep(AGAIN_SECONDS)


def code_of(work: Callable[[], object], **more: Any) -> int:
    """The exit code of work that is ended; the signals are handled as before by then."""
    before = [signal.getsignal(one) for one in (*ENDING, signal.SIGALRM)]
    with pytest.raises(SystemExit) as ended:
        ended_by_signals(work, **more)
    assert [signal.getsignal(one) for one in (*ENDING, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_what_is_ignored_under_nohup_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def work() -> None:
        try:
            send(signal.SIGHUP, signal.SIGTERM)
            work_long()
        finally:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    assert code_of(work) == 143
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_heard_once(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    cleaned = []

    def work() -> None:
        try:
            send(number)
            work_long()
        finally:
            send(*ENDING)
            time.sleep(2 * AGAIN_SECONDS)
            cleaned.append(True)

    assert code_of(work) == 128 + number
    assert cleaned and capsys.readouterr().err == "\nstopped\n"


def test_two_at_once_print_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        send(*ENDING)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        work_long()

    assert code_of(work) in [128 + one for one in ENDING]
    assert capsys.readouterr().err == "\nstopped\n"


def test_in_a_thread_nothing_is_heard() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ended_by_signals(lambda: signal.getsignal(signal.SIGTERM))))
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


def test_what_is_done_is_returned_and_the_signals_are_handled_as_before() -> None:
    before = [signal.getsignal(one) for one in ENDING]
    assert ended_by_signals(lambda: ended_by_signals(lambda: 3)) == 3
    assert [signal.getsignal(one) for one in ENDING] == before
    assert ended_by_signals(lambda: 3, then=signal.SIG_IGN) == 3
    assert {signal.getsignal(one) for one in ENDING} == {signal.SIG_IGN}


@pytest.mark.parametrize("heard", [False, True])
def test_a_profiler_may_look_on(heard: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_under_profile.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    monkeypatch.syspath_prepend(tmp_path)

    def work() -> int:
        if heard:
            import imported_under_profile  # type: ignore[import-not-found]  # noqa: F401
        return 3

    with cProfile.Profile() as profiler:
        assert (code_of(work) == 130) if heard else (ended_by_signals(work) == 3)
    assert any(entry.code is ended_by_signals.__code__ for entry in profiler.getstats())


def test_work_within_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        send(signal.SIGTERM)
        work_long()

    assert code_of(lambda: ended_by_signals(work, told=lambda: "half of it is kept")) == 143
    assert capsys.readouterr().err == "\nhalf of it is kept\n"


def test_an_import_comes_to_its_end_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\nimport colorsys\nwhole = 1\n"
    )
    (tmp_path / "imported_whole.py").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    reached = []

    def work() -> None:
        import imported_whole  # type: ignore[import-not-found]  # noqa: F401

        reached.append("the next line")

    assert code_of(work) == 130
    assert sys.modules.pop("imported_whole").whole == 1
    assert not reached and capsys.readouterr().err == "\nstopped\n"


class Falls:
    """An object whose end is interrupted: Python can raise no error there."""

    def __del__(self) -> None:
        send(signal.SIGINT)


def swallow() -> None:
    with contextlib.suppress(Ended):
        send(signal.SIGINT)


def turn() -> None:
    try:
        send(signal.SIGINT)
    except Ended as error:
        raise ImportError("no such library") from error


@pytest.mark.parametrize("library", [Falls, swallow, turn])
def test_a_library_cannot_hide_it(library: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        library()
        work_long()

    assert code_of(work) == 130
    assert capsys.readouterr().err == "\nstopped\n"


def test_a_library_may_raise_its_own_in_place_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    cleaned = []

    def work() -> None:
        try:
            swallow()
            raise KeyboardInterrupt
        finally:
            time.sleep(3 * AGAIN_SECONDS)
            cleaned.append(True)

    assert code_of(work) == 130
    assert cleaned and capsys.readouterr().err == "\nstopped\n"


def test_work_that_ends_all_the_same_is_told_by_the_exit_code_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(swallow) == 130
    assert not capsys.readouterr().err


START = """
import os, signal, sys
sys.path.insert(0, sys.argv.pop(1))
import conftest
from framebank.__main__ import main

def hear(event, told, name=sys.argv.pop(1)):
    if event == "import" and told[0] == name:
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hear)
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["framebank.cli", "torch._C"])
def test_an_interrupt_while_libraries_load_is_one_line(world: Any, tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", START, str(TESTS), name, "train", str(world.store.path), str(tmp_path / "run")]
    command += ["--head", "mean", "--classifier", "linear", "--epochs", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=hear_interrupts, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "\nstopped\n")
    assert not list(tmp_path.iterdir())


def test_an_extraction_that_is_stopped_says_what_is_there(
    framebank: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("framebank.library.extraction.VideoSource.intake", stopped)
    (tmp_path / "empty").mkdir()
    said = {
        tmp_path / "new": f"stopped before a video was embedded; {tmp_path}/new is not there yet. To begin again: fr",
        tmp_path / "empty": f"stopped before a video was embedded; {tmp_path}/empty holds none yet. To begin again: fr",
        store: f"stopped; what was embedded is kept in {store}. To go on: framebank",
    }
    for place, told in said.items():
        assert told in framebank("extract", tmp_path, place, "--model", "demo", exit_code=130).stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_training_that_is_ended_leaves_nothing(world: Any, tmp_path: Path, name: str, code: int) -> None:
    command = [sys.executable, "-m", "framebank", "train", str(world.store.path), str(tmp_path / "run")]
    command += ["--head", "mean", "--classifier", "linear", "--epochs", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts)
    while not (tmp_path / "run").exists():
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    told = process.communicate(timeout=60)[1]
    assert (process.returncode, told.split()) == (code, ["stopped"])
    assert not list(tmp_path.iterdir())
