"""Every command that writes, killed before each of the things it does to files, or without room for it.

CI tries some of them; `make kills` all.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

from framebank.cli import main
from framebank.commands.inputs import OWN, SHARED
from framebank.tests.kills.check import stops_from
from framebank.tests.kills.commands import COMMANDS, MADE_OF_OTHERS, READERS
from framebank.tests.kills.totals import KEPT, table
from framebank.tests.kills.world import sampled
from framebank.tests.places import TESTS

ALL = os.environ.get("FRAMEBANK_KILLS") == "all"
MOST_KILLS, MOST_FULL = ("", "") if ALL else ("1", "1")

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


def ask(process: Any, what: str, name: str) -> dict[str, Any]:
    process.stdin.write(f"{what} {name}\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("{"):
            return dict(json.loads(line))
    raise EOFError(f"the server ended: {process.wait()}")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_or_without_room(server, name):
    report = ask(server, "kill", name)
    line = f"{json.dumps(report)}\n"
    sys.stdout.write(line)
    if ALL:
        KEPT.parent.mkdir(exist_ok=True)
        with KEPT.open("a", encoding="utf-8") as file:
            file.write(line)
    assert not report["wrong"], "\n".join(report["wrong"])
    assert report["killed"] and report["full"]


@pytest.mark.parametrize("count", [2, 3, 9, 10, 700])
def test_one_command_is_killed_in_its_middle_at_its_end_and_between(count):
    (middle,) = sampled(count, 1)
    first, second, third = stops_from(middle, count)
    assert (first, second) == (middle, count)
    assert middle <= third <= count and (count < 9 or middle < third < count)
    assert {place for at in sampled(count, None) for place in stops_from(at, count)} == set(range(1, count + 1))


def test_the_totals_are_sums_over_the_commands():
    one = {"name": "extract", "changes": 700, "killed": 900, "completed": 3, "was_done": 1, "full": 40, "wrong": []}
    lines = table([one, {**one, "wrong": ["left: x"]}]).splitlines()
    assert lines[2] == "| 2 | 1,400 | 1,800 | 80 | 6 | 2 | 1 |"
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_command_that_only_reads_changes_no_file(server, name):
    report = ask(server, "call", name)
    assert not report["wrong"], "\n".join(report["wrong"])


# Flags that say how something is computed, not what is written or replaced.
OF_COMPUTING = {"--json", "--list", "--legacy-axes", "--strict", "--moments", "--all", "--sets-by-class"}
OF_COMPUTING |= {"--every-frame", "--any-suffix", "--actions", "--compile", "--deinterlace", "--use-damaged"}
OF_COMPUTING |= {
    "--no-copies",
    "--retry-failed",
    "--tensorboard",
}  # TensorBoard writes files of its own that a rerun adds to


def _commands(group: click.Group = main) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _commands(command)
        else:
            yield command


def _rows(name: str, rows: dict[str, Any]) -> list[str]:
    """What the rows of a command say: their names and their words."""
    return [
        f"{title} {' '.join(row.call) if isinstance(row.call, tuple) else ''} "
        for title, row in rows.items()
        if title.replace(",", "").split()[0] == name
    ]


@pytest.mark.parametrize("command", list(_commands()), ids=lambda command: command.name)
def test_every_command_is_tried_with_all_that_it_writes(command):
    name = str(command.name)
    if name in MADE_OF_OTHERS:
        return
    killed = _rows(name, COMMANDS)
    assert killed or _rows(name, READERS), f"{name}: is in no row of COMMANDS or READERS of tests/kills/commands.py"
    for parameter in command.params:
        writes = isinstance(parameter.type, click.Path) and parameter.name not in {**SHARED, **OWN.get(name, {})}
        if writes and (name, parameter.name) not in TOLD_BY_READERS:
            assert killed, f"{name}: {parameter.name} is written, and no row of COMMANDS tries it"
        flag = isinstance(parameter, click.Option) and parameter.is_flag and not parameter.secondary_opts
        if isinstance(parameter, click.Option) and (writes or (killed and flag)):
            option = parameter.opts[0]
            tried = option in OF_COMPUTING or any(f"{option} " in row for row in killed)
            assert tried, f"{name}: no row of COMMANDS tries {option}"


# Inputs that are looked for by whoever reads them.
TOLD_BY_READERS = {("label", "videos"), ("extract", "videos")}
