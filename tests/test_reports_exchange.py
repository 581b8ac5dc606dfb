"""The inputs on which imports, exports and processes failed, each with its right value."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPORTS = Path(__file__).parents[2] / "shared" / "data" / "reports"

pytestmark = pytest.mark.skipif(not REPORTS.is_dir(), reason=f"no inputs that failed at {REPORTS}")


def test_one_dataset_a_video(tmp_path: Path, framebank: Any) -> None:
    told = framebank("store", "import", REPORTS / "anet.h5", tmp_path / "bank", "--json")
    report = json.loads(told.stdout)
    assert (report["videos"], report["imported"], report["rows"], report["width"]) == (5, 5, 4 + 5 + 6 + 7 + 8, 32)
    assert told.stderr.splitlines()[-1] == (
        "5 arrays, each one video: v_0/c3d_features, v_1/c3d_features, v_2/c3d_features and 2 more"
    )


def test_a_video_of_zeros(tmp_path: Path, framebank: Any) -> None:
    told = framebank("store", "import", REPORTS / "zero_vectors.npz", tmp_path / "bank", "--json")
    report = json.loads(told.stdout)
    assert (report["videos"], report["imported"], report["failed"], report["zero_rows"]) == (20, 19, 1, 1)
    assert told.stderr.splitlines()[-3:] == [
        "kept: 1 row of zeros in 1 video (a/3)",
        "failed: a/0: holds only zeros, as if the feature is missing",
        f"not imported: 1 of 20 videos, each with its reason in {tmp_path / 'bank' / 'failed.csv'}",
    ]
    assert (tmp_path / "bank" / "failed.csv").read_text().splitlines()[1:] == [
        f'a/0,{REPORTS / "zero_vectors.npz"},"a/0: holds only zeros, as if the feature is missing"'
    ]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_script_without_a_main_guard(clips: Path, tmp_path: Path, way: str) -> None:
    code = (REPORTS / "no_main_guard.py").read_text(encoding="utf-8").replace("VIDEOS", str(clips / "waving"))
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "script.py") if way == "file" else "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = sorted(done.stdout.splitlines())
    assert lines == sorted(f"{path.stem} 4 " for path in (clips / "waving").glob("*.mp4"))
    assert len(lines) == 4
