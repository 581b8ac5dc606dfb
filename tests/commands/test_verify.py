"""framebank verify PATH: what it is, and each fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.predictions import Predictions
from framebank.store import Video
from framebank.store.indexes.enrolment import NAME, Enrolment
from framebank.store.indexes.index import Index
from framebank.store.ledger import Failure, Ledger
from framebank.store.vectors import unit
from framebank.tests.heads.training.test_run import LOG, run_of
from framebank.tests.places import TESTS
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of
from framebank.tests.worlds.store import DIM as STORE_DIM
from framebank.tests.worlds.store import SPEC as STORE_SPEC
from framebank.tests.worlds.store import make_store, videos

Framebank = Callable[..., Result]
MADE_BY = TESTS / "made_by"


def write_store(folder: Path) -> None:
    make_store(folder, {"a": 2, "b": 3})
    Ledger(folder / "failed.csv").add(Failure("c", "/c.mp4", "no video"))


def write_run(folder: Path) -> None:
    from framebank.heads.training.recipe import Recipe

    run_of(Recipe(head="conv1d")).write(folder, log=LOG)
    (folder / "metrics.json").write_text('{"top1": 0.5}')
    scores = np.full((2, 3), 1 / 3)
    Predictions(("a", "b"), scores, np.array([0, 2]), ("x", "y", "z")).write(folder / "predictions.npz")


def change_scores(path: Path) -> None:
    """As a hand does, with a sum of the archive that is right again."""
    arrays = dict(np.load(path))
    arrays["scores"][0] = arrays["scores"][0, ::-1] + [0.1, 0, -0.1]
    np.savez(path, **arrays)


def write_matcher(folder: Path) -> None:
    recipe = FewshotRecipe(matcher="mean")
    matcher = build_matcher(recipe, dim=DIM, num_classes=len(CLASSES))
    FewshotRun(recipe, SPEC, CLASSES, matcher, "/some/store", {"videos": 12}).write(folder, log=[])


def write_index(folder: Path) -> None:
    rng = np.random.default_rng(0)
    Index(rng.normal(size=(3, STORE_DIM)), videos("a", "b", "c"), spec=STORE_SPEC, made_by={"head": "mean"}).save(
        folder
    )
    enrolled = (Video("k/1", Path("/k.mp4"), "k"),)
    vectors = unit(rng.normal(size=(1, STORE_DIM)))
    Enrolment(enrolled, vectors, {"k": 0.5}, None, Index.load(folder).enrolment.of).write(folder)


MAKE: dict[str, Callable[[Path], None]] = {
    "store": write_store,
    "run": write_run,
    "few-shot run": write_matcher,
    "index": write_index,
    "prompts": lambda path: prompts_of().write(path),
}


@pytest.mark.parametrize("kind", MAKE)
def test_what_is_whole_looks_right(tmp_path: Path, framebank: Framebank, kind: str) -> None:
    path = tmp_path / "thing"
    MAKE[kind](path)
    assert framebank("verify", path).stdout.startswith(f"{path}: looks right, {kind}: ")
    report = json.loads(framebank("verify", path, "--json").stdout)
    assert (report["kind"], report["path"], report["faults"]) == (kind, str(path), [])
    assert report["checked"]


@pytest.mark.parametrize("name", ["store", "run", "index", "prompts.h5"])
@pytest.mark.parametrize("version", sorted(folder.name for folder in MADE_BY.iterdir()))
def test_what_an_earlier_version_wrote_looks_right(
    tmp_path: Path, framebank: Framebank, version: str, name: str
) -> None:
    shutil.copytree(MADE_BY / version, tmp_path / version)
    assert "looks right" in framebank("verify", tmp_path / version / name).stdout


def flip(path: Path, *, at: int = -9) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# kind, file, what is done to it, what is said
FAULTS: list[tuple[str, str, Callable[[Path], Any], str]] = [
    ("store", "shard-00000.h5", lambda path: path.write_bytes(path.read_bytes()[:1000]), "shard-00000.h5"),
    ("store", "failed.csv", lambda path: path.write_text("a\n"), "failed.csv: cannot be read as a list of failures"),
    ("store", "history.csv", lambda path: path.write_text("a\n"), "history.csv: cannot be read as a history"),
    ("store", "sources.csv", lambda path: path.write_text("a\n"), "sources.csv: cannot be read as a list of files"),
    ("run", "checkpoint.safetensors", flip, "checkpoint.safetensors: is not as it was written"),
    ("run", "checkpoint.safetensors", Path.unlink, "holds no checkpoint.safetensors"),
    ("run", "recipe.toml", lambda path: replace_in(path, "lr = 0.0005", "lr = 0.1"), "lr is 0.1, the checkpoint was"),
    ("run", "recipe.toml", Path.unlink, "recipe.toml: cannot be read as a recipe: No such file"),
    ("run", "log.csv", lambda path: replace_in(path, "0.25", "much"), "log.csv: cannot be read as a log of a training"),
    ("run", "log.csv", lambda path: replace_in(path, "lr", "colour"), "log.csv: has the column 'colour'"),
    ("run", "metrics.json", lambda path: path.write_text("["), "metrics.json: is not JSON (line 1)"),
    ("run", "predictions.npz", lambda path: flip(path, at=180), "predictions.npz: its array"),
    ("run", "predictions.npz", change_scores, "predictions.npz: is not as it was written; run `framebank evaluate`"),
    ("few-shot run", "recipe.json", lambda path: replace_in(path, '"way": 5', '"way": 6'), "way is 6, the checkpoint"),
    ("few-shot run", "matcher.safetensors", lambda path: path.write_text("no"), "cannot be read as a matcher"),
    ("index", "index.faiss", flip, "are of different indexes; make it again"),
    (
        "index",
        "ids.csv",
        lambda path: replace_in(path, "a.mp4", "z.mp4"),
        "spec.json or ids.csv is not as it was written",
    ),
    ("index", "spec.json", lambda path: replace_in(path, '"mean"', '"max"'), "spec.json or ids.csv is not as it was"),
    ("index", NAME, lambda path: path.write_text("no"), "enrolled.npz: cannot be read"),
    ("prompts", "", flip, "prompts"),
    ("prompts", "", lambda path: path.write_text("no"), "prompts"),
]


@pytest.mark.parametrize(("kind", "name", "harm", "said"), FAULTS)
def test_each_fault_is_a_line(
    tmp_path: Path, framebank: Framebank, kind: str, name: str, harm: Callable[[Path], Any], said: str
) -> None:
    path = tmp_path / "prompts.h5" if kind == "prompts" else tmp_path / "thing"
    MAKE[kind](path)
    harm(path / name if name else path)
    result = framebank("verify", path, exit_code=1)
    assert said in result.stdout
    assert all(line.startswith("fault: ") for line in result.stdout.splitlines())
    report = json.loads(framebank("verify", path, "--json", exit_code=1).stdout)
    assert report["kind"] == kind
    assert any(said in fault["what"] for fault in report["faults"])
    assert all(fault["path"].startswith(str(path)) for fault in report["faults"])


def test_a_file_of_it_stands_for_the_whole(tmp_path: Path, framebank: Framebank) -> None:
    write_run(tmp_path / "run")
    assert f"{tmp_path / 'run'}: looks right" in framebank("verify", tmp_path / "run" / "recipe.toml").stdout


def test_verifying_a_store_says_the_same_under_both_names(tmp_path: Path, framebank: Framebank) -> None:
    write_store(tmp_path / "s")
    (tmp_path / "s" / "manifest.csv").write_text("video_id,path\na,a.mp4\n")
    both = [
        json.loads(framebank(*words, tmp_path / "s", "--json", exit_code=1).stdout)
        for words in (["verify"], ["store", "verify"])
    ]
    assert [report["kind"] for report in both] == ["store", "store"]
    assert [[(fault["path"], fault["what"]) for fault in report["faults"]] for report in both] == [
        [
            (
                str(tmp_path / "s" / "shard-00000.h5"),
                f"{tmp_path / 's' / 'shard-00000.h5'}: holds 'b', which manifest.csv does not list",
            )
        ]
    ] * 2
    assert both[1]["faults"][0]["file"] == both[1]["faults"][0]["path"]


def test_a_store_that_lost_a_shard_says_which_videos_it_has_not(tmp_path: Path, framebank: Framebank) -> None:
    store = make_store(tmp_path / "s", {"a": 2, "b": 3, "c": 2})
    (store / "shard-00001.h5").unlink()
    told = framebank("verify", store).stdout.splitlines()
    assert told[1] == "1 listed video without an embedding, which `framebank extract` makes: c"
    assert json.loads(framebank("verify", store, "--json").stdout)["to_extract"] == ["c"]
