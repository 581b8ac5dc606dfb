"""Files that earlier versions wrote still open, give the figures they gave, and can be gone on with.

`made_by/VERSION` holds a store of 12 clips of the demo world, a run, an index with an enrolled class and a calibration,
and prompts, all written by that version; its clips lay under /videos and are not there any more.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from framebank.store import FeatureStore, PromptBank
from framebank.store.indexes.index import Index

MADE_BY = Path(__file__).parent / "made_by"
VERSIONS = sorted(folder.name for folder in MADE_BY.iterdir())

Framebank = Callable[..., Result]


@pytest.fixture(params=VERSIONS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a version wrote, which may be written to."""
    return Path(shutil.copytree(MADE_BY / request.param, tmp_path / request.param))


def test_the_store_holds_what_it_held(made: Path, framebank: Framebank) -> None:
    store = FeatureStore(made / "store")
    assert len(store) == 12
    assert store.num_rows == 48
    assert store.manifest.labels == ("bowing", "clapping", "drinking", "falling down")
    assert store.manifest.split_sizes == {"train": 8, "test": 4}
    norm = float(np.linalg.norm(store["falling_down_train_00"].data.astype(np.float32)))
    assert norm == pytest.approx(75.48989, rel=1e-5)
    assert "0 faults" in framebank("store", "verify", made / "store").stdout
    framebank("store", "info", made / "store")


def test_the_run_gives_the_figures_it_gave(made: Path, framebank: Framebank) -> None:
    result = framebank("evaluate", made / "run", "--store", made / "store", "--split", "test", "--json")
    figures = json.loads(result.stdout)
    assert (figures["top1"], figures["top5"]) == (0.75, 1.0)
    assert figures["confusion"] == [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    said = framebank("evaluate", made / "run", "--store", made / "store", "--split", "test").stdout
    assert "methods    as framebank 0.1 computes them (form 1)" in said


def test_the_index_finds_and_knows_what_it_did(made: Path, framebank: Framebank) -> None:
    index = Index.load(made / "index")
    assert (index.num_own, index.enrolment.labels) == (8, ("waiting",))
    assert index.enrolment.thresholds["waiting"] == pytest.approx(0.5186741352081299)
    assert index.enrolment.nearest == pytest.approx(0.5624059438705444)
    result = framebank("search", made / "index", "--id", "falling_down_train_00", "-k", 3, "--json")
    hits = [(hit["video_id"], hit["score"]) for hit in json.loads(result.stdout)["hits"]]
    assert hits == [
        ("falling_down_train_01", pytest.approx(0.5227167606, abs=1e-6)),
        ("bowing_train_00", pytest.approx(0.4853932261, abs=1e-6)),
        ("bowing_train_01", pytest.approx(0.3967906534, abs=1e-6)),
    ]


def test_an_index_that_knows_no_durations_says_so_and_learns_them(made: Path, framebank: Framebank) -> None:
    asked = ("search", made / "index", "--id", "falling_down_train_00", "--where", "duration between 1 and 20")
    told = framebank(*asked, exit_code=1).stderr
    assert "the duration of 8 videos is not known; `framebank index STORE INDEX --update` finds the durations" in told
    framebank("index", made / "store", made / "index", "--split", "train", "--update")
    assert len(json.loads(framebank(*asked, "--json").stdout)["hits"]) == 7


def test_the_prompts_are_read(made: Path, framebank: Framebank) -> None:
    assert len(PromptBank.read(made / "prompts.h5").texts) == 64
    framebank("zeroshot", made / "store", "--prompts", made / "prompts.h5")


def test_a_new_video_joins_the_store_and_the_index(
    made: Path, clips: Path, tmp_path: Path, framebank: Framebank
) -> None:
    before = FeatureStore(made / "store")
    rows = {name: before[name].data for name in before}
    clip = next(clips.glob("bowing/*.mp4"))
    new = tmp_path / "new.csv"
    new.write_text(f"video_id,path,label,split\nbowing/one_more,{clip},bowing,train\n")
    report = json.loads(framebank("extract", new, made / "store", "--json").stdout)
    assert report["embedded"] == 1
    after = FeatureStore(made / "store")
    assert after.spec == before.spec
    assert len(after) == 13
    for name, data in rows.items():
        np.testing.assert_array_equal(after[name].data, data)
    framebank("index", made / "store", made / "index", "--split", "train", "--update")
    index = Index.load(made / "index")
    assert "bowing/one_more" in {video.video_id for video in index.videos}
    assert index.enrolment.labels == ("waiting",)
