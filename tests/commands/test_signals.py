"""A request to end is Ctrl-C: what was begun is cleaned up, and the exit code names the signal."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framebank.commands.signals import ENDING, Ended, ended_by_signals, signal_of
from framebank.tests.worlds.cli import hear_interrupts


@pytest.fixture(autouse=True)
def unignored() -> Iterator[None]:
    """The tests may run under nohup."""
    before = {one: signal.signal(one, signal.SIG_DFL) for one in ENDING}
    yield
    for one, was in before.items():
        signal.signal(one, was)


def test_what_is_ignored_under_nohup_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with pytest.raises(Ended), ended_by_signals():
        try:
            signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            time.sleep(1)
        finally:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_heard_once(number: signal.Signals) -> None:
    before = [signal.getsignal(one) for one in ENDING]
    cleaned = []
    with pytest.raises(KeyboardInterrupt) as error, ended_by_signals():
        try:
            signal.pthread_kill(threading.get_ident(), number)
            time.sleep(1)
        finally:
            for one in ENDING:
                signal.pthread_kill(threading.get_ident(), one)
            cleaned.append(True)
    assert isinstance(error.value, Ended) and signal_of(error.value) == number and cleaned
    assert signal_of(KeyboardInterrupt()) == number  # of a library that raises its own in place of it
    with ended_by_signals():
        assert signal_of(KeyboardInterrupt()) == signal.SIGINT
    assert [signal.getsignal(one) for one in ENDING] == before


def test_two_at_once_print_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        for one in ENDING:
            signal.pthread_kill(threading.get_ident(), one)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        time.sleep(1)
    assert not printed


def test_one_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_thread_nothing_is_heard() -> None:
    found = []

    def look() -> None:
        with ended_by_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


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
    command = [sys.executable, "-m", "framebank.cli", "train", str(world.store.path), str(tmp_path / "run")]
    command += ["--head", "mean", "--classifier", "linear", "--epochs", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts)
    while not (tmp_path / "run").exists():
        time.sleep(0.05)
    time.sleep(5)  # the libraries of the optimizer load first; an interrupt in an import has another exit code
    process.send_signal(getattr(signal, name))
    told = process.communicate(timeout=60)[1]
    assert (process.returncode, told.split()) == (code, ["stopped"])
    assert not list(tmp_path.iterdir())
