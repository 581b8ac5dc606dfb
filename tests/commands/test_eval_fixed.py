"""eval: a protocol that fixes frames, class names and templates, and what a caller cannot say beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.store import DataError
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import CLASSES, NUM_FRAMES, World, prompts_of

pytestmark = pytest.mark.usefixtures("one_thread")


def fixed(path: Path, **keys: object) -> Path:
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in keys.items()]
    path.write_text(f'name = "own"\nabout = "fixed"\nkind = "zero-shot"\nvideos = "full"\n{"".join(lines)}')
    return path


def test_what_is_fixed_holds(framebank: Any, world: World, tmp_path: Path) -> None:
    world.prompts.write(tmp_path / "prompts.h5")
    templates = list(world.prompts.templates)
    keys = {"sampling": f"segments:{NUM_FRAMES}", "class_names": list(CLASSES), "templates": templates}
    own = fixed(tmp_path / "own.toml", **keys)
    start = ("eval", world.store.path, "--results", tmp_path / "r.jsonl", "--prompts", tmp_path / "prompts.h5")
    told = json.loads(framebank(*start, "--protocol", own, "--json").stdout)
    free = fb.evaluate_protocol(world.store, "zero-shot-full", prompts=world.prompts, results=None)
    assert told["top1"] == free.top1 and told["protocol"]["hash"] != free.hash and told["templates"] == templates
    for change, expected in (
        (
            {"sampling": "segments:9"},
            f"'segments:{NUM_FRAMES}'; the protocol 'own' is of 'segments:9'",
        ),
        ({"templates": ["a {}"]}, f"the template 1 is {templates[0]!r}; the protocol 'own' has 'a {{}}' there"),
        ({"templates": [*templates[:2], "a {}"]}, f"the template 3 is {templates[2]!r}; the protocol 'own' has 'a"),
        ({"templates": templates[:2]}, f"the template 3 is {templates[2]!r}; the protocol 'own' has none there"),
        ({"class_names": [*CLASSES, "nod"]}, "the class 'nod' is not in both the prompts and the protocol"),
    ):
        odd = fixed(tmp_path / "odd.toml", **{**keys, **change})
        assert expected in sentence(framebank(*start, "--protocol", odd, exit_code=1))


def test_a_caller_says_nothing_else(world: World, tmp_path: Path) -> None:
    own = fixed(tmp_path / "own.toml", class_names=list(CLASSES), templates=["{}"])
    with pytest.raises(DataError, match="'own' fixes the templates; expected no --templates"):
        fb.evaluate_protocol(world.store, own, templates=["a {}"], results=None)
    with pytest.raises(DataError, match="'own' fixes the labels; expected no --labels"):
        fb.evaluate_protocol(world.store, own, labels=CLASSES, results=None)


def test_the_texts_are_made_as_the_protocol_says(store: Path, tmp_path: Path) -> None:
    """The demo's own text tower embeds the classes in the templates of the protocol."""
    own = fixed(tmp_path / "own.toml", templates=["a figure {}"])
    found = fb.evaluate_protocol(store, own, results=None)
    assert found.line["templates"] == ["a figure {}"]
    few = fixed(tmp_path / "few.toml", class_names=["waving"])
    with pytest.raises(DataError, match=r"^the set of classes has 1 class without "):
        fb.evaluate_protocol(store, few, results=None)
    same = fb.evaluate_protocol(store, "zero-shot-full", templates=["a figure {}"], results=None)
    assert found.top1 == same.top1 and found.hash != same.hash


def test_prompts_in_python(world: World, tmp_path: Path) -> None:
    own = fixed(tmp_path / "own.toml", templates=["{} 0"])
    with pytest.raises(DataError, match=r"the prompts: the template 2 is .*; the protocol 'own' has none there"):
        fb.evaluate_protocol(world.store, own, prompts=world.prompts, results=None)
    one = prompts_of(num_templates=1)
    assert fb.evaluate_protocol(world.store, own, prompts=one, results=None).top1 is not None
