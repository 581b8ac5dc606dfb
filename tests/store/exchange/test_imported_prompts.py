"""Lookup: class embeddings of another program, found by the names of the classes."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from framebank.store import DataError, LabelSet, PromptBank
from framebank.store.exchange.imported_prompts import look_up_prompts, read_renamed
from framebank.tests.worlds.store import DIM, SPEC

ROWS = np.random.default_rng(0).normal(size=(3, DIM)).astype(np.float32)
NAMES = ["horse_riding", "car_(automobile)", "Piano"]


def look_up(path: Path, *names: str, renamed: tuple[str, ...] = (), **choices: Any) -> PromptBank:
    return look_up_prompts(
        LabelSet(names),
        path,
        array=choices.get("array"),
        names=choices.get("names"),
        renamed=read_renamed(renamed),
        encoder=SPEC,
        logit_scale=50.0,
    )


@pytest.fixture(params=["npz", "h5", "parquet", "npy"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """One file of three embeddings and their names, in each form."""
    out = tmp_path / f"texts.{request.param}"
    if request.param == "npz":
        np.savez(out, embeddings=ROWS, names=np.array(NAMES))
    elif request.param == "h5":
        with h5py.File(out, "w") as file:
            file["embeddings"], file["names"] = ROWS, NAMES
    elif request.param == "npy":
        np.save(out, ROWS)
        out.with_suffix(".txt").write_text("\n".join(NAMES))
    else:
        pyarrow.parquet.write_table(pyarrow.table({"names": NAMES, "embeddings": ROWS.tolist()}), out)
    return out


def test_rows_are_found_by_the_words_of_the_names(path: Path, tmp_path: Path) -> None:
    bank = look_up(path, "piano", "automobile", "HorseRiding", renamed=("automobile=car_(automobile)",))
    assert bank.texts == ("Piano", "car_(automobile)", "horse_riding")
    assert np.allclose(bank.embeddings, ROWS[[2, 1, 0]])
    assert bank.encoder == SPEC and bank.logit_scale == 50 and bank.kind == "names"
    bank.write(tmp_path / "bank.h5")
    assert np.allclose(PromptBank.read(tmp_path / "bank.h5").class_embeddings(), bank.class_embeddings())


def test_several_rows_of_a_name_are_several_prompts(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=ROWS, label=np.array(["a", "b", "a"]))
    bank = look_up(tmp_path / "t.npz", "b", "a")
    assert bank.texts == ("b", "a", "a") and bank.end.tolist() == [1, 3] and bank.kind == "descriptions"


def test_other_numbers_are_told_apart_by_their_template(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=ROWS, names=np.array(NAMES))
    np.savez(tmp_path / "b.npz", x=-ROWS, names=np.array(NAMES))
    assert look_up(tmp_path / "a.npz", "piano").templates != look_up(tmp_path / "b.npz", "piano").templates


@pytest.mark.parametrize(
    ("arrays", "renamed", "message"),
    [
        ({"x": ROWS, "names": NAMES}, (), "has no 'ship' among its 3 names; give the name that it has with --map"),
        ({"x": ROWS, "names": NAMES}, ("ship=boat",), "has no 'boat'"),
        ({"x": ROWS, "names": NAMES}, ("sheep=Piano",), "--map names 'sheep', which is not one of the 1 class"),
        ({"x": ROWS[:, :3], "names": NAMES}, ("ship=Piano",), rf"\(3, 3\) and 3 names; expected one row of {DIM}"),
        ({"x": ROWS[:2], "names": NAMES}, ("ship=Piano",), "and 3 names"),
        (
            {"x": ROWS * 0, "names": NAMES},
            ("ship=Piano",),
            "the embeddings of these names are only zeros or not finite: Piano",
        ),
        ({"x": ROWS, "who": NAMES, "what": NAMES}, ("ship=Piano",), "choose one with --names"),
        ({"x": ROWS, "names": NAMES}, ("ship",), "expected CLASS=NAME"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: Any, renamed: tuple[str, ...], message: str) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=message):
        look_up(tmp_path / "t.npz", "ship", renamed=renamed)
