"""What the tests of the commands share."""

import signal

from click.testing import Result

from framebank.tests.places import ROOT

LABELS = ROOT / "demo" / "labels.json"


def sentence(result: Result) -> str:
    """The one line that says what is wrong."""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.output
    assert "Traceback" not in result.output
    return errors[0]


def hear_interrupts() -> None:
    """Before a command starts: hear Ctrl-C, which a shell has its commands in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
