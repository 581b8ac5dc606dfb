"""The command prompts, and what every command that embeds texts says of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from framebank.tests.worlds.cli import LABELS, sentence

LONG = "a person who is standing in a green field and who looks left and right and up and down and " * 2
DEMO = ("--model", "demo")
DESCRIBED = ("--texts", "descriptions")


def write(path: Path, found: object) -> Path:
    path.write_text(json.dumps(found))
    return path


@pytest.fixture
def long_texts(tmp_path: Path) -> Path:
    """Two classes whose descriptions differ behind what the demo model reads."""
    return write(tmp_path / "long.json", {"sitting down": [f"{LONG} sits"], "standing up": [f"{LONG} stands"]})


def test_two_classes_that_become_one_are_refused(framebank: Any, long_texts: Path, tmp_path: Path) -> None:
    told = sentence(framebank("prompts", long_texts, tmp_path / "p.h5", *DEMO, *DESCRIBED, exit_code=1))
    assert told == (
        "Error: the classes 'sitting down' and 'standing up' are the same for the encoder: demo reads 32 tokens of a "
        "text, start and end included, and theirs are the same up to there; expected texts that differ sooner"
    )
    assert not (tmp_path / "p.h5").exists()


def test_one_description_of_several_may_be_the_same(framebank: Any, tmp_path: Path) -> None:
    both = {"sitting down": [LONG, "sitting"], "standing up": [LONG, "standing"]}
    told = framebank("prompts", write(tmp_path / "l.json", both), tmp_path / "p.h5", *DEMO, *DESCRIBED).stderr
    assert told.count("note: 1 text is cut: demo reads 32 tokens of a text, start and end included") == 1
    assert "it does not read" in told


def test_names_that_are_the_same_tokens_are_one_class(framebank: Any, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("R&B\nR&amp;B\n")
    told = sentence(framebank("prompts", tmp_path / "l.txt", tmp_path / "p.h5", *DEMO, exit_code=1))
    assert "the classes 'R&B' and 'R&amp;B' are the same for the encoder" in told


def test_unknown_words_and_near_classes_are_told(framebank: Any, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("archery\nsurfing\ndrinking\n")
    result = framebank("prompts", tmp_path / "l.txt", tmp_path / "p.h5", *DEMO)
    unknown, near = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert "knows only the words of its own world: 'archery', 'surfing' are unknown to it" in unknown
    assert "1 pair of classes has names that are nearly one text to demo (cosine 0.999 or more)" in near
    assert "'archery' and 'surfing' (1.0000); their texts can hardly tell them apart" in near


def test_what_the_model_knows_is_not_told(framebank: Any, tmp_path: Path) -> None:
    assert framebank("prompts", LABELS, tmp_path / "p.h5", *DEMO, *DESCRIBED).stderr.count("note: ") == 0


@pytest.mark.slow
def test_every_command_that_embeds_texts_tells(
    framebank: Any, store: Path, index: Path, clips: Path, long_texts: Path, tmp_path: Path
) -> None:
    classes = {path.name: ["a " + " ".join([path.name] * 40)] for path in clips.iterdir() if path.is_dir()}
    labels = write(tmp_path / "classes.json", {name.replace("_", " "): texts for name, texts in classes.items()})
    options = ("--labels", labels, "--texts", "descriptions")
    cut = "16 texts are cut: demo reads 32 tokens"
    for command in (
        ("zeroshot", store),
        ("train", store, tmp_path / "run", "--epochs", 1),
        ("fewshot", store, "--matcher", "text", "--way", 3, "--episodes", 10, "--split", "all"),
    ):
        told = framebank(*command, *options).stderr
        assert told.count(cut) == 1, command
    assert "1 text is cut" in framebank("search", index, "--text", LONG).stderr
    assert "'quokka' is unknown to it" in framebank("search", index, "--text", "a quokka").stderr
    video = next(clips.rglob("*.mp4"))
    assert cut in framebank("label", video, "--labels", labels, *DEMO).stderr
    told = sentence(framebank("label", video, "--labels", long_texts, *DEMO, exit_code=1))
    assert "are the same for the encoder" in told


def test_a_model_without_weights_is_refused(framebank: Any, clips: Path, tmp_path: Path) -> None:
    video = next(clips.rglob("*.mp4"))
    (tmp_path / "l.txt").write_text("drinking\nwaving\n")
    asked = ("--model", "RN50")
    for command in (
        ("extract", video, tmp_path / "s"),
        ("prompts", tmp_path / "l.txt", tmp_path / "p.h5"),
        ("label", video, "--labels", tmp_path / "l.txt"),
    ):
        told = sentence(framebank(*command, *asked, exit_code=1))
        assert "RN50 is given without --pretrained" in told
        assert "one of its tags (openai, " in told
        assert "or with none for random weights" in told
    assert not (tmp_path / "s").exists()
    told = framebank("prompts", tmp_path / "l.txt", tmp_path / "p.h5", *asked, "--pretrained", "none")
    assert "RANDOM WEIGHTS (--pretrained none)" in told.stderr
