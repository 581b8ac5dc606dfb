"""The command framebank, also by `python -m framebank`."""

import signal

from framebank.commands.signals import ended_by_signals


def main() -> None:
    """Run a command. A signal is heard before the commands are loaded; one after the command has ended kills."""
    ended_by_signals(_run, then=signal.SIG_DFL)


def _run() -> None:
    from framebank.cli import main

    main()


if __name__ == "__main__":
    main()
