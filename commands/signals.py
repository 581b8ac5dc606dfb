"""Signals: Ctrl-C, `kill` and a closing terminal end a command in one way, whatever it was doing."""

import contextlib
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.05  # between two looks whether the command hears
IMPORTING = "<frozen importlib._bootstrap>"

T = TypeVar("T")


class Ended(KeyboardInterrupt):
    """A signal asked this process to end."""


class _Listener:
    """What was heard while a command runs, and the error that was raised for it.

    The first signal counts. Its error is raised when no import is under way: a library that is interrupted there may
    crash, or say that it is missing. A library may swallow the error; then it is raised again.
    """

    def __init__(self) -> None:
        self.active = False
        self.heard = 0  # the number of the first signal
        self._raised: weakref.ref[Ended] | None = None
        self._imports = 0  # that were under way when the command began
        self._before: dict[int, Any] = {}
        self._profile: Any = None
        self._unraisable: Callable[[Any], object] = sys.unraisablehook

    def start(self) -> None:
        """Hear the signals from now on; one that this process ignores, as under nohup, stays ignored."""
        self.heard, self._raised, self._before = 0, None, {}
        self._imports = _num_imports(sys._getframe())
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._pass_over
        self.active = True
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._look)
        for number in ENDING:
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                self._before[number] = before or signal.SIG_DFL  # None is one that Python did not set
        self.hear()

    def hear(self) -> None:
        """Hear the signals again, where a library has taken them."""
        for number in self._before.keys() & {*ENDING}:
            signal.signal(number, self._hear)

    def stop(self, then: Any) -> None:
        """Raise nothing any more, and let `then` handle the signals; None for what did before."""
        self.active = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._end_profile()
        sys.unraisablehook = self._unraisable
        for number, before in self._before.items():
            signal.signal(number, before if then is None or number not in ENDING else then)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = self.heard or number
        self._look(number, frame)

    def _look(self, _: int, frame: FrameType | None) -> None:
        """Raise the error, unless one is on its way, or an import is under way; look again later."""
        if not self.active or not self.heard:
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
        # Where an error is being handled, the work cleans up: a library may have raised its own in place of ours.
        if self._raised is not None and (self._raised() is not None or sys.exception() is not None):
            return
        if _num_imports(frame) > self._imports:
            self._begin_profile()
            return
        error = Ended(signal.Signals(self.heard).name)
        self._raised = weakref.ref(error)
        try:
            raise error
        finally:
            del error  # its traceback holds this frame, which would hold it

    def _hear_returns(self, frame: FrameType, event: str, _: object) -> None:
        """Raise the error when an import returns that is not within another."""
        if event == "return" and frame.f_code.co_filename == IMPORTING and _num_imports(frame.f_back) <= self._imports:
            self._end_profile()
            self._look(self.heard, frame.f_back)

    def _begin_profile(self) -> None:
        before = sys.getprofile()
        if before != self._hear_returns:
            self._profile = before if callable(before) else None  # the profiler of cProfile cannot be set back
            sys.setprofile(self._hear_returns)

    def _end_profile(self) -> None:
        if sys.getprofile() == self._hear_returns:
            sys.setprofile(self._profile)

    def _pass_over(self, unraisable: Any) -> None:
        """Print no error of ours that came where none can be raised, as in `__del__`."""
        if not isinstance(unraisable.exc_value, Ended):
            self._unraisable(unraisable)


def _num_imports(frame: FrameType | None) -> int:
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == IMPORTING
        frame = frame.f_back
    return count


_listener = _Listener()


def ended_by_signals(work: Callable[[], T], *, told: Callable[[], str] = lambda: "stopped", then: Any = None) -> T:
    """Return what the work of a command returns; after a signal of ENDING, exit with 128 plus its number.

    The work cleans up first; a further signal does not disturb this. Then the line that `told` gives is printed,
    whatever the work has raised; an exit of its own has said why. Work within such work may have a line of its own.
    `then` handles the signals afterwards, in place of what did before.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    outermost = not _listener.active
    try:
        try:
            if outermost:
                _listener.start()
            done = work()
        finally:
            if outermost:
                _listener.stop(then)
    except BaseException as error:
        number = _listener.heard or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
        if not number:
            raise
        if not isinstance(error, SystemExit):
            with contextlib.suppress(OSError):  # stderr may be a log on a full disk
                sys.stderr.write(f"\n{told()}\n")
        raise SystemExit(128 + number) from error
    if outermost and _listener.heard:
        raise SystemExit(128 + _listener.heard)
    return done


def hear_signals_again() -> None:
    """Hear the signals of ENDING again, which a library has begun to handle itself."""
    if _listener.active and threading.current_thread() is threading.main_thread():
        _listener.hear()
