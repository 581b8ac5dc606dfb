"""Mutated files for every reader: a clear sentence, or the values that were written; others only without a digest.

`make fuzz` tries as many as one likes; here each reader gets the same few, in processes of their own.
"""

import subprocess
import sys

import pytest

from framebank.tests.fuzz.files import Case, table
from framebank.tests.fuzz.mutations import MUTATIONS, mutate
from framebank.tests.fuzz.readers import READERS
from framebank.tests.fuzz.readers.reader import fingerprint
from framebank.tests.places import TESTS

EACH = 20
# Two processes, of which each loads all that reads: one for each core.
GROUPS = {"even": list(READERS)[::2], "odd": list(READERS)[1::2]}


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_no_mutated_file_is_more_than_refused(group: str) -> None:
    names = [word for name in GROUPS[group] for word in ("--reader", name)]
    cases = EACH * len(GROUPS[group])
    done = subprocess.run(
        [sys.executable, "-m", "framebank.tests.fuzz.files", "--cases", str(cases), *names],
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert done.stdout.count(f"{EACH} files") == len(GROUPS[group])


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_made_again_by_its_seed_and_changes_something(name: str) -> None:
    content = b'{"one": 1, "two": [2, 3]}\nand a second line\n' * 20
    found = [mutate(content, f"{name} {number}") for number in range(200)]
    assert found == [mutate(content, f"{name} {number}") for number in range(200)]
    assert name in {kind for kind, _ in found}
    assert all(changed != content for _, changed in found)


def test_what_counts_as_a_fault() -> None:
    digested = next(name for name, reader in READERS.items() if reader.has_digest)
    plain = next(name for name, reader in READERS.items() if not reader.has_digest)
    assert not Case(digested, 0, outcome="refused").is_fault
    assert not Case(digested, 0, outcome="same values").is_fault
    assert Case(digested, 0, outcome="other values").is_fault
    assert not Case(plain, 0, outcome="other values").is_fault
    assert all(Case(plain, 0, outcome=outcome).is_fault for outcome in ("traceback", "hang", "memory", "crash"))
    assert table([Case(plain, 0, outcome="refused")]).splitlines()[-1] == f"| {plain} | 1 | 1 |"


def test_a_fingerprint_tells_values_apart() -> None:
    assert fingerprint({"a": [1, (2.0, None)]}) == fingerprint({"a": [1, (2.0, None)]})
    assert fingerprint([1, 2]) != fingerprint([12])
    assert fingerprint("/tmp/a/x", without="/tmp/a") == fingerprint("/tmp/b/x", without="/tmp/b")
