"""What the workers keep in files for a while is gone when they are, however they end."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from framebank.extract.fill import fill_store
from framebank.extract.pool import Chunk, Decoded, DecodePool, Failed, WaitingWorkers
from framebank.extract.worker import Task
from framebank.store import DataError, Manifest, Video
from framebank.tests.worlds.fake_decoder import copied_decode
from framebank.tests.worlds.process import lacking_decode
from framebank.tests.worlds.store import SPEC, FakeEncoder, fake_task, videos


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where this process has its temporary files."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def in_tar(folder, *names):
    path = folder / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for name in names:
            member = tarfile.TarInfo(f"{name}.mp4")
            member.size = 3
            archive.addfile(member, io.BytesIO(b"mp4"))
    return [Video(name, path / f"{name}.mp4") for name in names]


def copying_task():
    task = fake_task()
    return Task(task.sampling, task.preprocessing, copied_decode)


@pytest.mark.parametrize(
    ("name", "reason"), [("crash", "the decoder crashed (signal SIGABRT)"), ("hang", "took longer than 1 seconds")]
)
def test_the_copy_of_a_killed_worker_is_removed_at_once(tmp_path, scratch, name, reason):
    found = {}
    with DecodePool(copying_task(), num_workers=1, time_limit=1.0) as pool:
        for event in pool.run(in_tar(tmp_path, "a", name, "b")):
            if isinstance(event, Failed):
                copy = Path((tmp_path / f"{name}.where").read_text())
                assert scratch in copy.parents  # it was there
                assert not copy.exists()
            if isinstance(event, Failed | Decoded):
                found[event.video.video_id] = getattr(event, "reason", "")
    assert set(found) == {"a", name, "b"}
    assert reason in found[name]
    assert list(scratch.glob("framebank-*")) == []


def test_workers_that_end_for_age_leave_nothing(tmp_path, scratch):
    with DecodePool(copying_task(), num_workers=2, videos_per_worker=1) as pool:
        events = list(pool.run(in_tar(tmp_path, "a", "b", "c", "d")))
        assert len(list(scratch.glob("framebank-*"))) <= 2
    assert sum(isinstance(event, Decoded) for event in events) == 4
    assert list(scratch.glob("framebank-*")) == []


def test_a_worker_killed_between_two_videos_costs_none(scratch):
    """The kernel may kill it for memory when its last message is sent and not yet heard."""
    events = []
    with DecodePool(fake_task(), num_workers=1) as pool:
        for event in pool.run([Video(name, Path(f"{name}.mp4")) for name in ("a", "b", "c")]):
            events.append(event)
            if isinstance(event, Chunk) and event.video.video_id == "a":
                (worker,) = pool._workers
                assert worker.channel.poll(30)  # "done" has come
                os.kill(worker.process.pid, signal.SIGKILL)
                worker.process.wait()
    assert [event.video.video_id for event in events if isinstance(event, Decoded)] == ["a", "b", "c"]
    assert not [event for event in events if isinstance(event, Failed)]
    assert list(scratch.glob("framebank-*")) == []


def test_workers_that_wait_are_taken_first_and_the_others_end(scratch):
    with WaitingWorkers(3) as waiting:
        started = [worker.process for worker in waiting._workers]
        with DecodePool(fake_task(), num_workers=2, waiting=waiting) as pool:
            events = list(pool.run([Video(name, Path(f"{name}.mp4")) for name in ("a", "b", "c")]))
            assert {worker.process for worker in pool._workers} == set(started[1:])
        assert [process.wait(0) is None for process in started] == [True, False, False]
    assert all(process.wait(0) is not None for process in started)
    assert sum(isinstance(event, Decoded) for event in events) == 3
    assert list(scratch.glob("framebank-*")) == []


def test_a_caller_that_never_waits_has_one_worker(scratch, monkeypatch):
    monkeypatch.setattr("framebank.extract.pool.FIRST_SECONDS", 60.0)  # a busy machine starts the first one slowly
    listed = [Video(f"v{number}", Path(f"v{number}.mp4")) for number in range(6)]
    with DecodePool(fake_task(), num_workers=3) as pool:
        for event in pool.run(listed):
            (worker,) = pool._workers
            if isinstance(event, Chunk) or event.video is not listed[-1]:
                assert worker.channel.poll(30)  # what comes next is there before it is asked for


def test_a_caller_that_waits_gets_more_workers(scratch):
    """So a video on which the decoder hangs does not keep the others waiting."""
    listed = [Video(name, Path(f"{name}.mp4")) for name in ("hang", "a", "b")]
    done = []
    with DecodePool(fake_task(), num_workers=2) as pool:
        for event in pool.run(listed):
            if isinstance(event, Decoded):
                done.append(event.video.video_id)
            if len(done) == 2:
                break
    assert done == ["a", "b"]


def test_a_task_that_cannot_be_sent_ends_the_waiting_worker(scratch):
    task = Task(fake_task().sampling, fake_task().preprocessing, lambda *_: None)
    with WaitingWorkers(1) as waiting:
        (process,) = [worker.process for worker in waiting._workers]
        with (
            pytest.raises(DataError, match="the work for another process cannot be sent to it"),
            DecodePool(task, num_workers=1, waiting=waiting) as pool,
        ):
            list(pool.run([Video("a", Path("a.mp4"))]))
        assert process.wait(0) is not None


def test_a_library_that_is_missing_is_no_videos_fault(scratch):
    task = Task(fake_task().sampling, fake_task().preprocessing, lacking_decode)
    with (
        pytest.raises(DataError, match=r"the decoding processes cannot work \(ImportError: libx264\.so\.164: cannot"),
        DecodePool(task, num_workers=2) as pool,
    ):
        list(pool.run([Video(name, Path(f"{name}.mp4")) for name in "abc"]))


def test_a_worker_that_cannot_begin_fails_no_video(tmp_path, monkeypatch):
    """The store keeps what was there and has no failed.csv."""
    monkeypatch.setattr("framebank.store.files.process.BOOT", "import sys; sys.exit('no room today')")
    with pytest.raises(DataError, match=r"process ended before it could start \(exit code 1\): no room today"):
        list(
            fill_store(
                tmp_path / "bank",
                Manifest(videos("a", "b")),
                spec=SPEC,
                task=fake_task(),
                encoders=[FakeEncoder()],
            )
        )
    assert not (tmp_path / "bank" / "failed.csv").exists()


@pytest.mark.slow
def test_workers_whose_pipeline_is_killed_leave_nothing(tmp_path):
    (video,) = in_tar(tmp_path, "long")
    code = (
        "import os, signal, sys, tempfile; from pathlib import Path; from framebank.store import Video; "
        "from framebank.extract.pool import DecodePool; from framebank.tests.extract.test_pool import copying_task\n"
        "with DecodePool(copying_task(), num_workers=1) as pool:\n"
        f"    next(pool.run([Video('long', Path({str(video.path)!r}))]))\n"
        "    assert list(Path(tempfile.gettempdir()).glob('framebank-*'))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    place = Path(tempfile.mkdtemp(prefix="fb"))  # a short path: sockets lie there too
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(place)}, check=False)
    assert done.returncode == -9
    assert (tmp_path / "long.where").exists()
    until = time.monotonic() + 30
    while list(place.glob("framebank-*")) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(place.glob("framebank-*")) == []
    shutil.rmtree(place)


@pytest.mark.slow
def test_a_temporary_folder_may_have_a_long_name(tmp_path):
    """No socket lies in it, whose path could be too long."""
    code = (
        "from pathlib import Path; from framebank.store import Video; from framebank.extract.pool import DecodePool; "
        "from framebank.tests.extract.test_pool import fake_task\n"
        "with DecodePool(fake_task(), num_workers=1) as pool:\n"
        "    print(*[type(event).__name__ for event in pool.run([Video('a', Path('a.mp4'))])])\n"
    )
    place = tmp_path / ("long" * 30)
    place.mkdir()
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("Chunk Decoded\n", "")
    assert list(place.iterdir()) == []
