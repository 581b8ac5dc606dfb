"""Processes of ours never run the caller's main, whatever it is, and blame what is at fault."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from framebank.store import DataError
from framebank.store.files.parallel import call_in_processes
from framebank.store.files.process import Process, dumps
from framebank.tests.worlds import process as process_world
from framebank.tests.worlds.cli import hear_interrupts
from framebank.tests.worlds.process import children, num_descriptors, square, tell

# Decodes three made-up videos in two processes, and says what became of them and how often the script has run.
SCRIPT = """
import os, sys
from pathlib import Path
with open({ran!r}, "a") as file:
    file.write("ran\\n")
from framebank.extract.pool import DecodePool, Decoded, Failed
from framebank.store import Video
from framebank.tests.worlds.store import fake_task
{more}
videos = [Video(name, Path(f"{{name}}.mp4")) for name in ("a", "bad", "c")]
with DecodePool({task}, num_workers=2) as pool:
    found = [event for event in pool.run(videos) if isinstance(event, Decoded | Failed)]
for event in sorted(found, key=lambda event: event.video.video_id):
    print(event.video.video_id, getattr(event, "reason", "decoded"))
"""
SAID = "a decoded\nbad bad.mp4: cannot be decoded\nc decoded\n"
# What counts for the ways to run a script: how often it has run, and that its calls come back.
CALLS = """
with open({ran!r}, "a") as file:
    file.write("ran\\n")
import math
from framebank.store.files.parallel import call_in_processes
print(*call_in_processes(math.isqrt, [(81,), (16,), (4,)], processes=2, name="process"))
"""
GUARD = """
if __name__ == "__main__":
    exec(compile({code!r}, "body", "exec"))
"""


def run(command, *, code=0, **options):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == code, done.stderr
    return done


def ways(folder, code):
    """Every way to run a script, as a command and its input."""
    (folder / "my script é.py").write_text(code, encoding="utf-8")
    (folder / "guarded.py").write_text(GUARD.format(code=code), encoding="utf-8")
    (folder / "a package").mkdir()
    (folder / "a package" / "__main__.py").write_text(code, encoding="utf-8")
    notebook = f"import sys; sys.modules['__main__'].__file__ = {str(folder / 'my script é.py')!r}; exec({code!r})"
    console = f"import code; code.InteractiveInterpreter().runcode(compile({code!r}, 'cell', 'exec'))"
    return {
        "script": ([str(folder / "my script é.py")], None),
        "relative script": (["my script é.py"], None),
        "guard": ([str(folder / "guarded.py")], None),
        "folder": ([str(folder / "a package")], None),
        "module": (["-m", "guarded"], None),
        "stdin": (["-"], code),
        "command": (["-c", code], None),
        "notebook": (["-c", notebook], None),
        "console": (["-c", console], None),
        "isolated": (["-P", "-X", "utf8", str(folder / "my script é.py")], None),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    ["script", "relative script", "guard", "folder", "module", "stdin", "command", "notebook", "console", "isolated"],
)
def test_the_callers_script_runs_once(tmp_path, way):
    folder = tmp_path / "a folder é"
    folder.mkdir()
    command, given = ways(folder, CALLS.format(ran=str(tmp_path / "ran")))[way]
    done = run(command, input=given, cwd=folder)
    assert (done.stdout, done.stderr) == ("9 4 2\n", "")
    assert (tmp_path / "ran").read_text() == "ran\n"


@pytest.mark.slow
def test_files_named_as_modules_beside_the_script_do_no_harm(tmp_path):
    """Those that this process has loaded are looked for where Python keeps them, before the script's own folder."""
    code = SCRIPT.format(
        ran=str(tmp_path / "ran"),
        more=f"sys.path.insert(0, {str(tmp_path)!r})\nos.chdir({str(tmp_path)!r})",
        task="fake_task()",
    )
    for name in ("pickle", "socket", "numpy", "shutil", "framebank"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    assert run(["-c", code]).stdout == SAID


@pytest.mark.slow
def test_a_function_of_a_module_that_only_the_caller_finds(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("from framebank.tests.worlds.fake_decoder import fake_decode as mine\n"
        "def decode(path, sample, sink):\n    return mine(path, sample, sink)\n")  # fmt: skip
    more = f"sys.path.insert(0, {str(tmp_path / 'own')!r})\nimport mine\nfrom framebank.extract.worker import Task\n"
    more += "made = fake_task(); made = Task(made.sampling, made.preprocessing, {})\n"
    ran = str(tmp_path / "ran")
    code = SCRIPT.format(ran=ran, more=more.format("mine.decode"), task="made")
    assert run(["-c", code], cwd=tmp_path).stdout == SAID
    for own, named in (("def own(*_): ...", "own"), ("own = lambda *_: None", "<lambda>")):
        script = SCRIPT.format(ran=ran, more=f"{own}\n{more.format('own')}", task="made")
        told = run(["-"], input=script, cwd=tmp_path, code=1).stderr.splitlines()[-1]
        assert told == (
            f"framebank.store.errors.DataError: {named} is defined in the script or notebook itself, which other "
            "processes do not run; put it into a module of its own and import it from there"
        )
    gone = SCRIPT.format(ran=ran, more=more.format("mine.decode") + "os.remove(mine.__file__)\n", task="made")
    told = run(["-B", "-c", gone], cwd=tmp_path, code=1).stderr.splitlines()[-1]
    assert told == (
        "framebank.store.errors.DataError: a decoding process ended before it could start (exit code 1): "
        "ModuleNotFoundError: No module named 'mine'"
    )


def test_what_has_no_name_in_a_module_is_refused():
    with pytest.raises(DataError, match=r"cannot be sent to it .*lambda.*; expected functions and classes of a module"):
        dumps(lambda: None)
    assert dumps((square, SystemExit, len))


def test_a_process_has_the_callers_paths_and_not_its_main(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "ünd so"))
    process = Process(tell, "framebank.tests.worlds.process", name="process")
    assert process.hear() is None and process.is_ready
    where, main, paths = process.hear()
    assert Path(where).samefile(process_world.__file__)
    assert main is None
    assert paths == [path or str(Path.cwd()) for path in sys.path]
    process.close()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PYTHONHOME": "/nowhere"}, "No module named 'encodings'"),
        ({"PYTHONSTARTUP": "", "PYTHONPATH": "{}"}, "SystemExit: not today|: not today$"),
    ],
)
def test_one_that_cannot_begin_says_its_own_last_words(tmp_path, monkeypatch, environment, message):
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('not today')\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    process = Process(tell, "os", name="decoding process")
    with pytest.raises(
        DataError, match=rf"a decoding process ended before it could start \(exit code \d\): .*{message}"
    ):
        process.hear()
    process.close()
    assert process.pid not in children()


def test_one_killed_before_it_begins(monkeypatch):
    process = Process(tell, "os", name="decoding process")
    process.kill()
    with pytest.raises(DataError, match=r"a decoding process ended before it could start \(signal SIGKILL\)$"):
        process.hear()
    process.close()


def test_one_that_is_no_python(monkeypatch, tmp_path):
    monkeypatch.setattr("framebank.store.files.process.get_executable", lambda: str(tmp_path / "gone"))
    before = num_descriptors()
    with pytest.raises(DataError, match="a decoding process cannot be started: No such file or directory"):
        Process(tell, "os", name="decoding process")
    assert num_descriptors() == before
    monkeypatch.setattr("framebank.store.files.process.get_executable", lambda: "/bin/false")
    process = Process(tell, "os", name="decoding process")
    with pytest.raises(DataError, match=r"ended before it could start \(exit code 1\)$"):
        process.hear()
    process.close()
    monkeypatch.setattr("framebank.store.files.process.get_executable", lambda: None)
    with pytest.raises(DataError, match=r"sys\.executable is empty"):
        Process(tell, "os", name="decoding process")


def test_calls_come_back_in_order_and_nothing_is_left():
    before = num_descriptors()
    calls = [(number,) for number in (9, 0, 1, 2, 8, 7)]
    assert list(call_in_processes(square, calls, processes=2, name="process")) == [81, 0, 1, 4, 64, 49]
    assert list(call_in_processes(square, [], processes=2, name="process")) == []
    early = call_in_processes(square, calls, processes=2, name="process")
    assert next(early) == 81 and len(children()) == 2
    early.close()
    with pytest.raises(LookupError, match="three") as error:
        list(call_in_processes(square, [(1,), (3,), (2,)], processes=2, name="process"))
    assert "in another process:\nTraceback" in error.value.__notes__[0]
    for number, cause in ((4, "signal SIGABRT"), (5, "exit code 7")):
        with pytest.raises(DataError, match=rf"a process ended before its work was done \({cause}\)"):
            list(call_in_processes(square, [(1,), (number,)], processes=1, name="process"))
    assert children() == [] and num_descriptors() == before


@pytest.mark.slow
@pytest.mark.parametrize("way", ["kill", "ctrl-c"])
def test_they_end_with_the_one_that_started_them(tmp_path, way):
    """Also where one hangs in a decoder; Ctrl-C goes to all processes of a terminal, and only the first heeds it."""
    code = (
        "import sys; from pathlib import Path; from framebank.store import Video\n"
        "from framebank.extract.pool import DecodePool; from framebank.tests.worlds.store import fake_task\n"
        "from framebank.tests.worlds.process import children\n"
        "with DecodePool(fake_task(), num_workers=2) as pool:\n"
        "    events = pool.run([Video(name, Path(f'{name}.mp4')) for name in ('a', 'hang', 'b')])\n"
        "    print([next(events) for _ in range(4)] and children(), flush=True)\n"
        "    next(events)\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    started = json.loads(driver.stdout.readline())
    assert len(started) == 2
    if way == "kill":
        driver.kill()
    else:
        os.killpg(driver.pid, signal.SIGINT)
    told = driver.communicate(timeout=30)[1]
    assert told.count("Traceback") == (way == "ctrl-c") and told.strip().endswith(
        "KeyboardInterrupt" * (way == "ctrl-c")
    )
    until = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in started) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [child for child in started if Path(f"/proc/{child}").exists()]
