"""Extraction on a cluster: a real one of Ray on this machine, whose workers and drivers are killed."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from framebank.extract.cluster import Cluster
from framebank.extract.decode import decode_clip, decoder_versions
from framebank.extract.encoder import Encoder
from framebank.extract.remote import Work
from framebank.extract.sampling import read_sampling
from framebank.store import DataError, FeatureStore, Manifest
from framebank.store.adoption import PARTS
from framebank.store.verify import verify_store
from framebank.tests.cluster_world import MortalEncoder

OPTIONS = ("--model", "demo", "--frames", 8, "--batch-size", 16)
FAILING = ("cut", "text")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def ray():
    """A cluster of one machine with two CPUs, which all drivers of this process share."""
    library = pytest.importorskip("ray", reason="ray is not installed")
    os.environ.pop("RAY_ADDRESS", None)
    library.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level="ERROR",
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


def work(make_encoder=functools.partial(Encoder, "demo"), **options):
    return Work(
        make_encoder, read_sampling("segments:8"), decode_clip, decoder_versions, **{"batch_size": 16, **options}
    )


@pytest.mark.slow
def test_two_workers_make_the_store_of_one_machine(ray, framebank, listed, local, tmp_path):
    cluster = ("--engine", "ray", "--workers", 2)
    told = json.loads(framebank("extract", listed, tmp_path / "s", *OPTIONS, *cluster, "--json").stdout)
    assert (told["videos"], told["embedded"], told["failed"], told["frames"]) == (66, 64, 2, 64 * 8)
    require_same(tmp_path / "s", local)
    told = json.loads(framebank("extract", listed, tmp_path / "s", *OPTIONS, *cluster, "--json").stdout)
    assert (told["embedded"], told["failed"], told["failed_before"], told["already_there"]) == (0, 0, 2, 64)
    told = json.loads(
        framebank("extract", listed, tmp_path / "s", *OPTIONS, *cluster, "--json", "--retry-failed").stdout
    )
    assert (told["embedded"], told["failed"], told["failed_before"], told["already_there"]) == (0, 2, 0, 64)
    require_same(tmp_path / "s", local)


@pytest.mark.slow
def test_the_slice_of_a_killed_worker_is_done_by_another(ray, listed, local, tmp_path):
    lives = tmp_path / "lives"
    lives.mkdir()
    (lives / "1").touch()
    mortal = work(functools.partial(MortalEncoder, lives), min_seconds=0.0)
    with Cluster(mortal, num_workers=2) as cluster:
        told = list(cluster.fill(tmp_path / "s", Manifest.read([listed]), slice_size=22))
    assert not list(lives.iterdir())  # it was killed
    assert sorted(outcome.video.video_id for outcome in told) == sorted(v.video_id for v in local.manifest.videos)
    assert sum(outcome.num_frames for outcome in told) == 64 * 8
    assert {outcome.video.video_id for outcome in told if outcome.error} == set(FAILING)
    require_same(tmp_path / "s", local)


@pytest.mark.slow
def test_a_slice_that_kills_every_worker_is_named_and_the_rest_is_kept(ray, framebank, listed, local, tmp_path):
    lives = tmp_path / "lives"
    lives.mkdir()
    for life in range(9):
        (lives / f"{life}").touch()
    mortal = work(functools.partial(MortalEncoder, lives), min_seconds=0.0)
    with Cluster(mortal, num_workers=1) as cluster, pytest.raises(DataError, match=r"^slice 0 \(\d+ videos, '.*died"):
        list(cluster.fill(tmp_path / "s", Manifest.read([listed]), slice_size=66))
    kept = len(FeatureStore(tmp_path / "s"))
    assert 0 < kept < 64 and len(list(lives.iterdir())) == 6
    assert verify_store(tmp_path / "s").faults == ()
    told = json.loads(framebank("extract", listed, tmp_path / "s", *OPTIONS, "--json").stdout)  # by this machine
    assert told["already_there"] == kept and told["embedded"] == 64 - kept
    require_same(tmp_path / "s", local)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "engine"), [(signal.SIGKILL, "local"), (signal.SIGINT, "ray")])
def test_a_driver_that_is_killed_leaves_what_the_next_goes_on_from(
    ray, framebank, clips, tmp_path, number, engine, one_thread
):
    folder, options = tmp_path / "s", ("--model", "demo", "--every-frame", "--batch-size", "16")
    command = [sys.executable, "-m", "framebank.cli", "extract", str(clips / "manifest.csv"), str(folder), *options]
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address, "OMP_NUM_THREADS": "1"}
    driver = subprocess.Popen([*command, "--engine", "ray"], stderr=subprocess.PIPE, text=True, env=environment)
    while driver.poll() is None and not list(folder.glob("parts/slice-*-00001-1/manifest.csv")):
        time.sleep(0.02)
    driver.send_signal(number)
    said = driver.communicate(timeout=60)[1]
    assert driver.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[number], said
    if number == signal.SIGINT:
        assert "To go on: framebank extract" in said and not (folder / PARTS).exists()
    else:
        assert list(folder.glob("parts/slice-*"))
    whole = [shard for shard in folder.rglob("shard-*.h5")]
    assert whole
    told = json.loads(
        framebank("extract", clips / "manifest.csv", folder, *options, "--engine", engine, "--json").stdout
    )
    assert 0 < told["already_there"] < 64 and told["embedded"] == 64 - told["already_there"]
    framebank("extract", clips / "manifest.csv", tmp_path / "once", *options)
    once, found = FeatureStore(tmp_path / "once"), FeatureStore(folder)
    assert found.spec == once.spec and sorted(found.ids) == sorted(once.ids)
    assert all(found[video_id].data.tobytes() == once[video_id].data.tobytes() for video_id in once)
    assert not (folder / PARTS).exists() and verify_store(folder).faults == ()
