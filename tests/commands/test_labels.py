"""The command labels build: the names of several lists in one file, each once."""

import json
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.library.asking.label_bank import BUILT_IN, read_list
from framebank.tests.worlds.cli import LABELS, sentence

SIZES = {"kinetics700": 700, "something-something-v2": 174, "ucf101": 101, "hmdb51": 51, "charades": 157}
SIZES["activitynet"] = 200


def test_the_lists_have_as_many_names_as_their_sets() -> None:
    assert {name: len(read_list(name)) for name in BUILT_IN} == SIZES


def test_names_of_several_lists_are_embedded_once(framebank: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("waving\nClapping\njumping\n")
    (tmp_path / "more.txt").write_text("clapping\nfalling down\n")
    bank = tmp_path / "names.h5"
    call = ("labels", "build", bank, "--from", tmp_path / "mine.txt", "--from", tmp_path / "more.txt")
    told = json.loads(framebank(*call, "--model", "demo", "--json").stdout)
    assert (told["names"], told["rows"], told["twice"], told["alike"]) == (4, 4, 1, [])
    prompts = fb.PromptBank.read(bank)
    assert prompts.labels.names == ("waving", "Clapping", "jumping", "falling down")
    assert prompts.texts[1] == "a video of a person clapping." and prompts.encoder.model == "demo"
    printed = framebank(*call, "--model", "demo").stdout.splitlines()
    assert f"4 names, 4 texts -> {bank}" in printed and printed[-1].startswith("by demo/demo")


def test_descriptions_are_taken_if_they_are_asked_for(tmp_path: Path) -> None:
    found = fb.build_labels(tmp_path / "n.h5", LABELS, model="demo", texts="descriptions")
    assert found.prompts.kind == "descriptions" and len(found.prompts.texts) > len(found) == 16
    assert repr(found).splitlines() == found.lines() and "<div>" in found._repr_html_()


def test_wrong_input_is_one_sentence(framebank: Any, tmp_path: Path) -> None:
    out = tmp_path / "n.h5"
    call = ("labels", "build", out, "--model", "demo", "--from")
    assert "no such file of names; expected one, or one of kinetics700" in sentence(
        framebank(*call, tmp_path / "no.txt", exit_code=1)
    )
    (tmp_path / "empty.txt").write_text("\n")
    assert "empty.txt" in sentence(framebank(*call, tmp_path / "empty.txt", exit_code=1))
    with pytest.raises(fb.DataError, match="one encoder"):
        fb.build_labels(out, ["ucf101"])
    with pytest.raises(fb.DataError, match="no list of names"):
        fb.build_labels(out, [], model="demo")
    assert not out.exists()


def test_a_bank_and_an_index_are_joined_with_the_evidence(
    framebank: Any, clips: Path, index: Path, tmp_path: Path
) -> None:
    bank = tmp_path / "names.h5"
    fb.build_labels(bank, LABELS, model="demo", texts="descriptions")
    clip = clips / "waving" / "waving_test_00.mp4"
    (one,) = json.loads(framebank("label", clip, "--bank", bank, "--index", index, "--json").stdout)["videos"]
    answers = {answer["by"]: answer for answer in one["answers"]}
    assert list(answers) == ["fused", "texts", "neighbours"] and one["by"] == "fused"
    scores = {by: {each["label"]: each["score"] for each in one["labels"] if each["by"] == by} for by in answers}
    assert one["confidence"] == scores["fused"][one["label"]]
    halves = [scores[by].get(one["label"], 0.0) / 2 for by in ("texts", "neighbours")]
    assert one["confidence"] == pytest.approx(sum(halves))
    assert len(answers["neighbours"]["neighbours"]) == 10
    assert {near["label"] for near in answers["fused"]["neighbours"]} == {one["label"]}
    assert 0 <= answers["fused"]["seconds"]["start"] < answers["fused"]["seconds"]["end"] < 4
    printed = framebank("label", clip, "--bank", bank, "--index", index).stdout
    assert "  fused: " in printed and "    because of neighbours waving_" in printed and "; seconds " in printed
    (alone,) = json.loads(framebank("label", clip, "--bank", bank, "--json").stdout)["videos"]
    assert alone["by"] == "texts" and alone["confidence"] == alone["labels"][0]["score"]
    told = framebank("label", clip, "--bank", bank, "--labels", LABELS, exit_code=2).stderr
    assert "--bank holds its own names" in told
