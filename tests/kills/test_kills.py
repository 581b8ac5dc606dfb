"""Every command that writes, killed before each of the things it does to files, or without room for it.

CI tries some of them; `make kills` all.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from framebank.tests.kills.commands import COMMANDS
from framebank.tests.places import TESTS

MOST_KILLS, MOST_FULL = ("", "") if os.environ.get("FRAMEBANK_KILLS") == "all" else ("3", "1")

SERVER = (
    "import sys; sys.path.insert(0, sys.argv[1]); import conftest;"
    "from framebank.tests.kills.check import serve; serve(*sys.argv[2:])"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A process that has imported everything, and forks a child for each try."""
    place = tmp_path_factory.mktemp("kills")
    command = [sys.executable, "-c", SERVER, str(TESTS), str(place), MOST_KILLS, MOST_FULL]
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | one_thread
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()
        process.wait(30)


def ask(process: Any, name: str) -> dict[str, Any]:
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("{"):
            return dict(json.loads(line))
    raise EOFError(f"the server ended: {process.wait()}")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_or_without_room(server, name):
    report = ask(server, name)
    sys.stdout.write(f"{json.dumps(report)}\n")
    assert not report["wrong"], "\n".join(report["wrong"])
    assert report["killed"] and report["full"]
