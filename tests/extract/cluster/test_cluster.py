"""Extraction on a cluster: a real one of Ray on this machine, whose workers and drivers are killed."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from framebank.extract.cluster import cluster, slices
from framebank.extract.cluster.cluster import Cluster, divide
from framebank.extract.cluster.remote_worker import Work
from framebank.extract.decoders.pixels import SQUARE
from framebank.extract.fill import fill_store
from framebank.store import DataError, FeatureStore, Manifest
from framebank.store.upkeep.adoption import PARTS
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.cli import hear_interrupts
from framebank.tests.worlds.cluster import MortalEncoder, fake_version
from framebank.tests.worlds.fake_decoder import fake_decode
from framebank.tests.worlds.store import SPEC, FakeEncoder, fake_task, videos

OPTIONS = ("--model", "demo", "--frames", 8, "--batch-size", 16, "--device", "cpu")
CLUSTER = ("--engine", "ray", "--workers")
FAILING = ("cut", "text")
MADE_UP = Manifest(
    videos(*(f"v{number:02d}" for number in range(40)), "bad", *(f"w{number:02d}" for number in range(24)), "odd")
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def ray():
    """A cluster of one machine, which all drivers of this process share."""
    library = pytest.importorskip("ray", reason="ray is not installed")
    os.environ.pop("RAY_ADDRESS", None)
    library.init(
        address="local",
        num_cpus=2,
        num_gpus=2,  # made up, to see that each worker is given one
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level="ERROR",
        _system_config={"worker_niceness": 0},  # Ray's own is 15: beside other tests its workers get little of a core
    )
    yield library
    library.shutdown()


@pytest.fixture(scope="module")
def listed(clips, tmp_path_factory):
    """A manifest of the demo's clips, and of two files that are no whole video."""
    folder = tmp_path_factory.mktemp("listed")
    whole = next(clips.glob("waving/*.mp4")).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (folder / "text.mp4").write_text("no video")
    videos = Manifest.read_csv(clips / "manifest.csv").videos
    broken = Manifest.read([folder / f"{name}.mp4" for name in FAILING]).videos
    Manifest((*videos[:20], broken[0], *videos[20:], broken[1])).write(folder / "manifest.csv")
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def local(framebank, listed, tmp_path_factory, one_thread):
    """The store that this machine makes of them alone."""
    folder = tmp_path_factory.mktemp("local") / "store"
    framebank("extract", listed, folder, *OPTIONS)
    return FeatureStore(folder)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory, one_thread):
    """The store that this machine makes of made-up videos alone."""
    folder = tmp_path_factory.mktemp("made-up") / "store"
    options = {
        "spec": replace(SPEC, pixels=SQUARE),
        "task": fake_task(),
        "encoders": [FakeEncoder()],
        "batch_size": 16,
        "num_workers": 1,
    }
    assert len(list(fill_store(folder, MADE_UP, **options))) == len(MADE_UP)
    return FeatureStore(folder)


def require_same(folder, local):
    """The store in `folder` is whole, and is in everything but the order of its videos the local one."""
    found = FeatureStore(folder)
    assert found.spec == local.spec and found.manifest == local.manifest
    assert sorted(found.ids) == sorted(local.ids)
    for video_id in local:
        ours, theirs = local[video_id], found[video_id]
        for name in ("data", "timestamps", "indices", "views", "clips"):
            assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes(), (video_id, name)
    assert found.decoders == local.decoders
    assert (folder / "failed.csv").read_text().count("\n") == 1 + len(FAILING)
    assert sorted(found.failures, key=str) == sorted(local.failures, key=str)
    assert not (folder / PARTS).exists() and not list(folder.glob("*.part"))
    assert verify_store(folder).faults == ()


def mortal(diary, *, deaths):
    """Work whose workers die so many times."""
    (diary / "deaths").mkdir(parents=True)
    for death in range(deaths):
        (diary / "deaths" / str(death)).touch()
    return Work(
        functools.partial(MortalEncoder, diary), fake_task().sampling, fake_decode, fake_version, 16, min_seconds=0.0
    )


def report(framebank, *arguments):
    return json.loads(framebank("extract", *arguments, "--json").stdout)


@pytest.mark.slow
def test_two_workers_make_the_store_of_one_machine(ray, framebank, listed, local, tmp_path):
    told = report(framebank, listed, tmp_path / "s", *OPTIONS, *CLUSTER, 2)
    assert (told["videos"], told["embedded"], told["failed"], told["frames"]) == (66, 64, 2, 64 * 8)
    require_same(tmp_path / "s", local)
    told = report(framebank, listed, tmp_path / "s", *OPTIONS)
    assert (told["embedded"], told["failed"], told["failed_before"], told["already_there"]) == (0, 0, 2, 64)
    told = report(framebank, listed, tmp_path / "s", *OPTIONS, "--retry-failed")
    assert (told["embedded"], told["failed"], told["failed_before"], told["already_there"]) == (0, 2, 0, 64)
    require_same(tmp_path / "s", local)


@pytest.mark.slow
def test_the_slice_of_a_killed_worker_is_done_by_another(ray, made_up, tmp_path):
    diary = tmp_path / "diary"
    with Cluster(mortal(diary, deaths=1)) as cluster:
        told = list(cluster.fill(tmp_path / "s", MADE_UP, slice_size=22))
    assert not list((diary / "deaths").iterdir())
    assert {path.read_text() for path in diary.glob("worker-*")} == {"cuda 0", "cuda 1"}  # one for each GPU
    assert sorted(outcome.video.video_id for outcome in told) == sorted(video.video_id for video in MADE_UP.videos)
    assert sum(outcome.num_frames for outcome in told) == 64 * 4
    assert {outcome.video.video_id for outcome in told if outcome.error} == {"bad", "odd"}
    require_same(tmp_path / "s", made_up)


@pytest.mark.slow
def test_a_slice_that_no_worker_finishes_is_named(ray, made_up, tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "ATTEMPTS", 2)
    diary = tmp_path / "diary"
    cluster = Cluster(mortal(diary, deaths=2), num_workers=1, device="cpu")
    with cluster:
        with pytest.raises(DataError, match=r"^slice 0 \(\d+ videos, '.* was given to 2 workers, and none"):
            list(cluster.fill(tmp_path / "s", MADE_UP, slice_size=66))
        kept = len(FeatureStore(tmp_path / "s"))
        assert 0 < kept < 64 and not (tmp_path / "s" / PARTS).exists()
        told = list(cluster.fill(tmp_path / "s", MADE_UP))  # by a third, which lives
    failed_before = 66 - kept - len(told)
    assert sum(not outcome.error for outcome in told) == 64 - kept and 0 <= failed_before <= 2
    require_same(tmp_path / "s", made_up)


def run_and_kill(ray, listed, folder, kill):
    """Start a driver, send it a signal in its second slice, and return it and what it said."""
    command = [sys.executable, "-m", "framebank.cli", "extract", str(listed), str(folder), *map(str, OPTIONS)]
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address, "OMP_NUM_THREADS": "1"}
    driver = subprocess.Popen(
        [*command, *CLUSTER, "1"], stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=hear_interrupts
    )
    while driver.poll() is None and not list(folder.glob("parts/slice-*-00001-1/manifest.csv")):
        time.sleep(0.02)
    driver.send_signal(getattr(signal, kill))
    return driver, driver.communicate(timeout=300)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill", "code", "engine"), [("SIGKILL", -9, (*CLUSTER, 1)), ("SIGINT", 130, ()), ("SIGTERM", 143, ())]
)
def test_a_driver_that_is_killed_leaves_what_the_next_goes_on_from(
    ray, framebank, listed, local, tmp_path, kill, code, engine
):
    folder = tmp_path / "s"
    driver, said = run_and_kill(ray, listed, folder, kill)
    assert driver.returncode == code, said
    assert bool(list(folder.glob("parts/slice-*"))) == (kill == "SIGKILL")
    assert ("To go on: framebank extract" in said) == (kill != "SIGKILL")
    told = report(framebank, listed, folder, *OPTIONS, *engine)
    assert told["already_there"] > 0 and told["embedded"] == 64 - told["already_there"] > 0
    require_same(folder, local)


@pytest.mark.slow
def test_what_a_worker_raises_is_said_by_its_sentence(ray, framebank, listed, tmp_path):
    told = framebank("extract", listed, tmp_path / "s", "--model", "ViT-NONE", *OPTIONS[2:], *CLUSTER, 1, exit_code=1)
    assert "ViT-NONE" in told.stderr and "Traceback" not in told.stderr
    assert not (tmp_path / "s").exists()


def test_the_cpus_are_divided_among_the_workers():
    assert divide([(16, 0), (16, 0)], None) == (2, 16, False)  # one for each machine
    assert divide([(16, 0), (16, 0)], 5) == (5, 5, False)
    assert divide([(0, 0), (64, 8), (64, 8)], None) == (16, 8, True)  # one for each GPU
    assert divide([(2, 4)], None) == (2, 1, True)  # as far as there are CPUs
    with pytest.raises(DataError, match="room for 4 workers with a CPU each, not for 5"):
        divide([(2, 0), (2, 0)], 5)
    with pytest.raises(DataError, match="room for 0 workers"):
        divide([], None)


def test_without_ray(monkeypatch, framebank, listed, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)  # importing it now raises ImportError
    told = framebank("extract", listed, tmp_path / "s", *OPTIONS, *CLUSTER, 1, exit_code=1)
    assert "pip install framebank[ray]" in told.stderr
    assert not (tmp_path / "s").exists()


def test_options_that_do_not_go_together(framebank, listed, tmp_path):
    arguments = ("extract", listed, tmp_path / "s", "--model", "demo")
    told = framebank(*arguments, "--engine", "ray", "--devices", "0,1", exit_code=2)
    assert "each worker has its own device" in told.stderr
    assert "needs --engine ray" in framebank(*arguments, "--address", "a:1", exit_code=2).stderr
    told = framebank(*arguments, "--engine", "ray", "--device", "cuda:1", exit_code=1)
    assert "expected auto, cpu or cuda" in told.stderr


def test_an_address_where_nobody_listens_is_refused_at_once():
    """Ray itself would try for minutes, with lines of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        silent = SimpleNamespace(is_initialized=lambda: False, init=lambda **_: pytest.fail("Ray was asked"))
        with pytest.raises(DataError, match=f"no Ray cluster can be reached at {address} from this machine"):
            cluster._connect(silent, address)
