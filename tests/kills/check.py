"""What must be true of each command that is killed or has no room: run again it comes to its end, with nothing left."""

import gc
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framebank.store import DataError
from framebank.store.files.scratch import NEW_SECONDS, PREFIX, sweep_scratch
from framebank.store.formats import hdf5_process
from framebank.store.formats.hdf5_answers import Hdf5Answers
from framebank.tests.kills.command import Command, call_command, call_function
from framebank.tests.kills.commands import COMMANDS, READERS
from framebank.tests.kills.template import make_template
from framebank.tests.kills.world import Ended, Stop, copy_into, run_child, sampled, tree


@dataclass
class Report:
    """How often a command was stopped and what became of it; `wrong` says what must not be."""

    name: str
    changes: int = 0
    killed: int = 0
    completed: int = 0
    was_done: int = 0
    full: int = 0
    wrong: list[str] = field(default_factory=list)


def check(name: str, template: Path, folder: Path, *, most_kills: int | None, most_full: int | None) -> Report:
    """Kill a command before its changes, run it again and kill it again, twice over, and end it; then with no room."""
    command, report = COMMANDS[name], Report(name)

    def run(stop: Stop | None = None) -> Ended:
        os.chdir(folder)
        call = command.call
        action = (lambda: call_command(call)) if isinstance(call, tuple) else (lambda: call_function(call))
        return run_child(action, watched=folder, stop=stop)

    def start() -> None:
        copy_into(template, command.needs, folder)
        os.chdir(folder)

    start()
    before = _read(command)
    whole = run()
    report.changes = len(whole.changes)
    if whole.code or "Traceback" in whole.said:
        report.wrong.append(f"undisturbed: exit code {whole.code}: {whole.said}")
        return report
    expected, after = dict(tree(folder)), _read(command)
    for at in sampled(report.changes, most_kills):
        start()
        stops = stops_from(at, report.changes)
        for stop in stops:
            report.killed += run(Stop("kill", stop)).code == -9
            if command.reads and (found := _read(command)) not in (before, after):
                report.wrong.append(f"killed at {stop}: what is read is neither old nor new: {found!r:.200}")
            if not command.again and _read(command) == after:
                break
        _finish(run, command, report, expected, after, folder, how=f"killed at {stops}")
    needs_room = [place for place, change in enumerate(whole.changes, start=1) if change in ("write", "os.mkdir")]
    for at in [needs_room[number - 1] for number in sampled(len(needs_room), most_full)]:
        start()
        ended = run(Stop("full", at))
        report.full += 1
        if not _is_told(ended, command):
            report.wrong.append(f"full at {at} ({whole.changes[at - 1]}): exit code {ended.code}: {ended.said[-1500:]}")
        if command.reads and _read(command) not in (before, after):
            report.wrong.append(f"full at {at}: what is read is neither old nor new")
        _finish(run, command, report, expected, after, folder, how=f"full at {at}")
    return report


def stops_from(at: int, count: int) -> list[int]:
    """Return the place of the first kill, and of two more: half and a third of all changes further on, in a circle.

    From the middle these are the last change and one between them. The first is not among them: before it nothing has
    happened.
    """
    return [at, 1 + (at + count // 2 - 1) % count, 1 + (at + count // 3 - 1) % count]


def _is_told(ended: Ended, command: Command) -> bool:
    """Whether a command without room says so in a line, one for each file where it writes several, and no traceback."""
    # `eval` prints its figures all the same, and a note says that they are not kept.
    starts = ("Error: ", "note: the figures are not in the results")
    errors = [line for line in ended.said.splitlines() if line.startswith(starts)]
    sayings = {line.rpartition(": ")[2] for line in errors}
    fine = (0, 0) if command.able else (1, 1)
    return (ended.code, len(sayings)) == fine and "Traceback" not in ended.said


def check_reader(name: str, template: Path, folder: Path) -> Report:
    """Call a command that only reads, and see that it changes no file and comes to its end."""
    command, report = READERS[name], Report(name)
    copy_into(template, command.needs, folder)
    os.chdir(folder)
    before, call = dict(tree(folder)), command.call
    assert isinstance(call, tuple)
    ended = run_child(lambda: call_command(call), watched=folder)
    after = {name: content for name, content in tree(folder) if name != "tmp"}
    if ended.code or "Traceback" in ended.said:
        report.wrong.append(f"exit code {ended.code}: {ended.said}")
    if before != after:
        report.wrong.append(f"changed {sorted(name for name, _ in before.items() ^ after.items())}")
    return report


def _read(command: Command) -> Any:
    """What is read of the output; None where there is none, or none is asked for."""
    if command.reads is None:
        return None
    try:
        return command.reads()
    except (DataError, FileNotFoundError):
        return None


def _finish(
    run: Callable[[], Ended],
    command: Command,
    report: Report,
    expected: dict[str, bytes],
    after: Any,
    folder: Path,
    *,
    how: str,
) -> None:
    """Run a command to its end, or have the next writer put things in their places where all was done already."""
    for scratch in (folder / "tmp").glob(f"{PREFIX}*"):  # a new one is left alone, as its process may just begin
        os.utime(scratch, (scratch.stat().st_mtime - 2 * NEW_SECONDS,) * 2)
    if command.again or _read(command) != after:
        ended = run()
        if "Traceback" in ended.said or ended.code not in (0, 1):
            report.wrong.append(f"{how}: then exit code {ended.code}: {ended.said}")
        said = ended.said
        refused = ended.code == 1
    else:
        refused, said = True, ""
    if refused:
        settle(folder)
    report.completed += not refused
    report.was_done += refused
    found = dict(tree(folder))
    if found != expected:
        other = sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name])
        more, less = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
        report.wrong.append(f"{how}: in the end other: {other}, more: {more}, less: {less}; it said {said}")


def settle(folder: Path) -> None:
    """Do what the next writer does first, wherever something was left."""
    from framebank.store.files.replacing import NEXT, finish_moves
    from framebank.store.upkeep.repair import writing

    before, tempfile.tempdir = tempfile.tempdir, str(folder / "tmp")
    sweep_scratch()
    tempfile.tempdir = before
    for path in [
        folder,
        *(path for path in sorted(folder.rglob("*")) if path.is_dir() and not path.name.startswith(NEXT)),
    ]:
        finish_moves(path)
        if (path / "writer.lock").exists():
            with writing(path):
                pass


def serve(place: str, most_kills: str, most_full: str) -> None:
    """Answer each line of stdin, "kill" or "call" and the name of a command, with a line: the report as JSON."""
    numbers = [int(text) if text else None for text in (most_kills, most_full)]
    _load_all()
    template, folder = Path(place, "template"), Path(place, "work")
    made = os.fork()
    if made == 0:
        make_template(template, folder)
        os._exit(0)
    assert os.waitpid(made, 0)[1] == 0
    for line in sys.stdin:
        what, _, name = line.rstrip("\n").partition(" ")
        try:
            if what == "kill":
                report = check(name, template, folder, most_kills=numbers[0], most_full=numbers[1])
            else:
                report = check_reader(name, template, folder)
        except Exception:  # the others are tried all the same
            report = Report(name, wrong=[traceback.format_exc()])
        sys.__stdout__.write(json.dumps(vars(report)) + "\n")
        sys.__stdout__.flush()


def _load_all() -> None:
    """Import what the commands import, on one thread, and have videos embedded in this process, which forks."""
    import faiss
    import matplotlib.figure  # noqa: F401
    import open_clip  # noqa: F401
    import pyarrow
    import torch

    import framebank.cli
    import framebank.heads.evaluation.compare
    import framebank.heads.exchange.export
    import framebank.heads.exchange.published
    import framebank.heads.fewshot.evaluate
    import framebank.heads.fewshot.job
    import framebank.heads.labelling.update  # noqa: F401
    from framebank.extract import fill

    gc.freeze()  # what no child changes is not copied for it
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    pyarrow.set_cpu_count(1)
    fill.extract_videos = embed_here
    hdf5_process._reader = ReadsHere()


class ReadsHere(hdf5_process._Reader):
    """What reads HDF5, in this process: each child would start another for each file of `work`, which is new."""

    def start(self) -> None:
        pass

    def ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        answer, values, error = hdf5_process._answer(Hdf5Answers(lambda: None), question)
        return json.loads(json.dumps({"answer": answer, "error": error})), values


def embed_here(videos: Any, *, task: Any, encoders: Any, writer: Any, **_: Any) -> Iterator[Any]:
    """Embed videos as the pipeline does, without the processes that decode."""
    from framebank.extract.pipeline import Outcome, embed_clip
    from framebank.extract.worker import Job
    from framebank.store.videos.identity import identify

    for video in videos:
        source = str(identify(video.path))
        try:
            rows = embed_clip(Job(video.path), task=task, encoder=encoders[0])
        except DataError as error:
            yield Outcome(video, error=str(error), source=source)
            continue
        writer.add(video.video_id, rows, decoder="fake", source=source)
        yield Outcome(video, num_frames=len(rows.data))
