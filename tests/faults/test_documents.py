"""Damaged and hostile files that are not HDF5, through the commands: one sentence that names the file, and exit code 1.

The inputs of ../shared/data/faults are read where they are; of each kind some are made here too.
"""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import DataError, LabelSet
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.store.indexes.enrolment import Enrolment
from framebank.store.videos.class_splits import read_class_splits
from framebank.store.videos.lists import read_list
from framebank.store.videos.tars import read_tars
from framebank.tests.places import ROOT, TESTS

FAULTS = ROOT.parent / "shared" / "data" / "faults"
MADE_BY = TESTS / "made_by" / "0.1.0"

SEARCH = [
    "en_label_int",
    "en_nan",
    "en_nearest_list",
    "en_others_2d",
    "en_share_str",
    "en_thr_nan",
    "en_zero",
    "index_inf",
]
IMPORT = ["imp_0d.npz", "imp_bad.npz", "imp_bad.parquet", "imp_json", "imp_json3", "imp_spec"]
RUNS = ["run_deep", "run_dim1e9", "run_in_shape", "run_layers1e9", "run_trained_none"]

# The input -> the command that reads it; {} is the input, and the working folder has the files of `work`.
COMMANDS = {
    **dict.fromkeys(SEARCH, "search {} --id a"),
    **dict.fromkeys(IMPORT, "store import {} bank"),
    **dict.fromkeys(RUNS, "export-head {} head.safetensors"),
    **{f"{name} ": "verify {}" for name in (*SEARCH, *RUNS)},
    **{f"ck_{name}.pt": "import-checkpoint {} run --labels names.txt" for name in ("cls", "int", "intkey", "intval")},
    **{f"ck_{name}.pt": "import-checkpoint {} run --labels names.txt" for name in ("nopos", "trunc")},
    **{f"{name}.toml": "train store run --recipe {}" for name in ("big", "deep", "optbig", "optflt")},
    **{f"{name}.json": "prompts {} p.h5 --model demo" for name in ("nul", "sur", "deep", "digits")},
    "deep.json ": "fewshot store --class-split {}",
    "digits_split.json": "fewshot store --class-split {}",
    "split_big.csv": "fewshot store --class-split {}",
    "train_big.txt": "extract videos.csv new --model demo --split-file {}",
    "train_digits.json": "extract videos.csv new --model demo --split-file {}",
}

MEMORY_BYTES = 2 << 30
SCRIPT = f"""
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
import conftest
import faiss, torch, pyarrow.parquet
from click.testing import CliRunner
from framebank.cli import main
from framebank.extract.encoders.encoder import Encoder
from framebank.heads.training.run import Run
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + {MEMORY_BYTES},) * 2)
for line in sys.stdin:
    before = time.monotonic()
    result = CliRunner().invoke(main, json.loads(line))
    told = repr(result.exception) if result.exception and not isinstance(result.exception, SystemExit) else ""
    print(json.dumps([result.exit_code, result.stdout + result.stderr, told, time.monotonic() - before]), flush=True)
"""


def run_all(commands: list[list[str]], work: Path) -> list[tuple[int, str, str, float]]:
    """What came of each command, in one process: exit code, what it said, what exception came through, seconds."""
    given = "".join(f"{json.dumps(command)}\n" for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=given, cwd=work, capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]  # type: ignore[misc]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each command on the inputs that are there."""
    if not FAULTS.is_dir():
        pytest.skip("no ../shared/data/faults, which holds the inputs")
    work = tmp_path_factory.mktemp("work")
    shutil.copytree(MADE_BY / "store", work / "store")
    (work / "names.txt").write_text("run\nwave\n")
    (work / "videos.csv").write_text("video_id,path\na,a.mp4\n")
    commands = [command.format(FAULTS / name.strip()).split() for name, command in COMMANDS.items()]
    before = sorted(path.name for path in work.iterdir())
    found = dict(zip(COMMANDS, run_all(commands, work), strict=True))
    left = sorted({path.name for path in work.iterdir()} - set(before))
    assert set(left) <= {"bank"}, left  # of an import the reasons stay, in failed.csv
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_file_is_refused_in_one_sentence_that_names_it(outcomes: dict[str, Any], name: str) -> None:
    code, said, exception, seconds = outcomes[name]
    errors = [line for line in said.splitlines() if line.startswith(("Error: ", "fault: "))]
    assert (code, exception, len(errors)) == (1, "", 1), said
    assert str(FAULTS / name.strip()) in errors[0]
    assert "Traceback" not in said
    assert seconds < 20


HARMFUL = {
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 5000,
    "many digits": "9" * 5000,
    "digits within": '{"run": ' + "9" * 5000 + "}",
    "infinity": '[{"id": Infinity}]',
    "NUL": r'{"framebank": 1, "video_id": "a\u0000", "label": "", "split": ""}',
    "half a pair": r'{"spec": {"model": "\ud800"}}',
    "a bit more": '{"a": 1}}',
    "a number": "5",
    "nothing": "",
}


def _labels(folder: Path, text: str) -> object:
    (folder / "labels.json").write_text(text)
    return LabelSet.read(folder / "labels.json")


def _class_splits(folder: Path, text: str) -> object:
    (folder / "split.json").write_text(text)
    return read_class_splits([folder / "split.json"])


def _list(folder: Path, text: str) -> object:
    (folder / "train.json").write_text(text)
    return read_list(folder / "train.json")


def _spec(folder: Path, text: str) -> object:
    np.save(folder / "a.npy", np.ones((2, 4)))
    (folder / "store.spec").write_text(text)
    return open_source(folder, Names())


def _tar(folder: Path, text: str) -> object:
    (folder / "a.mp4").write_text("video")
    (folder / "a.json").write_text(text)
    with tarfile.open(folder / "a.tar", "w") as tar:
        tar.add(folder / "a.mp4", "a.mp4")
        tar.add(folder / "a.json", "a.json")
    return read_tars([folder / "a.tar"]).videos


def _parquet(folder: Path, text: str) -> object:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as files

    table = pyarrow.table({"embedding": [[1.0, 2.0]]}).replace_schema_metadata({"framebank.spec": text})
    files.write_table(table, folder / "a.parquet")
    return open_source(folder / "a.parquet", Names())


def _enrolled(folder: Path, text: str) -> object:
    about = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    np.savez(folder / "enrolled.npz", about=about, vectors=np.zeros((0, 4), dtype=np.float32))
    return Enrolment.read(folder, of="x", dim=4)


READS: dict[str, Callable[[Path, str], object]] = {
    "labels": _labels,
    "class splits": _class_splits,
    "a list": _list,
    "the spec of an export": _spec,
    "the label in a tar": _tar,
    "the metadata of parquet": _parquet,
    "enrolled classes": _enrolled,
}


@pytest.mark.parametrize("harm", HARMFUL)
@pytest.mark.parametrize("what", READS)
def test_json_that_does_harm_is_refused_wherever_it_stands(tmp_path: Path, what: str, harm: str) -> None:
    if (what, harm) == ("the label in a tar", "a number"):
        pytest.skip("JSON without a label is no label")
    with pytest.raises(DataError) as error:
        READS[what](tmp_path, HARMFUL[harm])
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("harm", HARMFUL)
def test_json_of_another_program_beside_an_array_is_not_read(tmp_path: Path, harm: str) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 4)))
    (tmp_path / "a.json").write_text(HARMFUL[harm])
    (video,) = open_source(tmp_path, Names()).manifest.videos
    assert video.video_id == "a"


def test_a_tar_member_that_claims_more_than_the_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(100))
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("a.mp4")
        member.size = 100
        with (tmp_path / "a.mp4").open("rb") as file:
            tar.addfile(member, file)
    content = bytearray((tmp_path / "a.tar").read_bytes())
    content[124:136] = b"\x80" + (10**15).to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar: is a damaged tar"):
        read_tars([tmp_path / "a.tar"])
