"""Signals: a request to end, from `kill` or a closing terminal, works like Ctrl-C."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asked this process to end; `number` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


_heard: list[int] = []  # the signal that asked to end; a library may raise its own interrupt in place of Ended


def signal_of(error: KeyboardInterrupt) -> int:
    """Return the number of the signal that came."""
    if isinstance(error, Ended):
        return error.number
    return _heard[0] if _heard else int(signal.SIGINT)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise Ended when the first signal of ENDING comes; a second one does not disturb the cleaning up.

    A signal that this process ignores, as under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    heard = {number: was for number, was in before.items() if was is not signal.SIG_IGN}
    _heard.clear()
    try:
        for number in heard:
            signal.signal(number, _end)
        yield
    finally:
        for number, was in heard.items():
            signal.signal(number, was)


def _end(number: int, _: FrameType | None) -> None:
    for one in ENDING:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, _pass)  # Python complains on stderr of one that is ignored and has come already
    _heard[:] = [number]
    raise Ended(number)


def _pass(number: int, _: FrameType | None) -> None:
    """Do nothing on a further signal."""
