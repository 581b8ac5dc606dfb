"""Checkpoints: their digests, and claims that are held against the tensors before a model is built."""

import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.training.checkpoint import read_checkpoint, save
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.store.digest import SEAL
from framebank.tests.heads.training.test_run import run_of
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC


@pytest.fixture
def folder(tmp_path):
    run_of(Recipe(head="transformer", head_options={"num_layers": 1})).write(tmp_path, log=[])
    return tmp_path


@pytest.fixture
def matcher_folder(tmp_path):
    recipe = FewshotRecipe(matcher="trx", options={"width": 16, "cardinalities": [2]})
    matcher = build_matcher(recipe, dim=DIM, num_classes=len(CLASSES))
    FewshotRun(recipe, SPEC, CLASSES, matcher, "/some/store", {"videos": 12}).write(tmp_path, log=[])
    return tmp_path


def change(path, how, *, sealed=False):
    """Write a checkpoint with other values, with its digest as it was, or without one as an earlier version."""
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    about = json.loads(said["framebank"])
    if not sealed:
        del about[SEAL]
    how(about, tensors)
    save_file(tensors, path, metadata={"framebank": json.dumps(about)})


def test_tensors_of_every_type_come_back(tmp_path):
    dtypes = (torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool)
    tensors = {str(dtype): torch.ones(2, 3, dtype=dtype) for dtype in dtypes} | {"one": torch.tensor(2.5)}
    (tmp_path / "a").write_bytes(save({"b": [1, 0.1, "é"]}, tensors))
    found = read_checkpoint(tmp_path / "a", what="a checkpoint")
    assert found.about.values == {"b": [1, 0.1, "é"]}
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())
    assert save({"b": [1, 0.1, "é"]}, tensors) == (tmp_path / "a").read_bytes()


CHANGED = {
    "a weight": lambda _, tensors: next(iter(tensors.values())).view(-1)[:1].add_(1e-3),
    "a label": lambda about, _: about["labels"].reverse(),
    "the encoder": lambda about, _: about["spec"].update(weights_hash="another"),
    "an option": lambda about, _: about["recipe"].update(head_mix=0.5),
    "what it was trained on": lambda about, _: about["trained_on"].update(texts="descriptions"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_value_is_refused_where_there_is_a_digest(folder, what):
    path = folder / "checkpoint.safetensors"
    change(path, lambda *_: None, sealed=True)
    Run.read(folder)
    change(path, CHANGED[what], sealed=True)
    with pytest.raises(DataError, match=r"checkpoint\.safetensors: is not as it was written; bring it back"):
        Run.read(folder)
    change(path, CHANGED[what])  # of an earlier version, which wrote none
    Run.read(folder)


def test_a_flipped_bit_in_a_matcher_is_refused(matcher_folder):
    path = matcher_folder / "matcher.safetensors"
    whole = bytearray(path.read_bytes())
    whole[-5] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"matcher\.safetensors: is not as it was written"):
        FewshotRun.read(matcher_folder)


CLAIMS = {
    "width": (lambda about, _: about["spec"].update(dim=10**9), "claims the width 1000000000, and none of"),
    "width of a few": (lambda about, _: about["spec"].update(dim=32), "the model that it describes"),
    "layers": (
        lambda about, _: about["recipe"]["head_options"].update(num_layers=10**6),
        "of more than the 1. tensors",
    ),
    "too many layers": (lambda about, _: about["recipe"]["head_options"].update(num_layers=10**8), "from 0 to 1000000"),
    "two layers": (lambda about, _: about["recipe"]["head_options"].update(num_layers=2), "lacks the tensor"),
    "frames": (lambda about, _: about["recipe"]["head_options"].update(max_frames=10**6), r"describes \(1000000, "),
    "another head": (lambda about, _: about["recipe"].update(head="lstm", head_options={}), "tensor"),
    "heads that do not divide": (
        lambda about, _: about["recipe"]["head_options"].update(num_heads=7),
        "cannot be built",
    ),
    "a width of frames": (lambda about, _: about.update(in_shape=[4]), "the model that it describes"),
    "a shape of nothing": (lambda about, _: about.update(in_shape=["a"]), r"in_shape is \['a'\]; expected a list of"),
    "no class": (lambda about, _: about.update(labels=[]), r"labels is \[\]; expected the name of a class"),
    "a class that is a number": (lambda about, _: about["labels"].append(3), "labels is .*; expected a list of texts"),
    "a recipe that is a list": (lambda about, _: about.update(recipe=[]), r"recipe is \[\]; expected an object"),
    "options that are a list": (lambda about, _: about["recipe"].update(head_options=[]), "head_options is "),
    "trained on nothing": (lambda about, _: about.update(trained_on=None), "trained_on is None; expected an object"),
    "templates of numbers": (lambda about, _: about["trained_on"].update(templates=[1]), r"templates is \[1\]"),
    "a store that is a number": (lambda about, _: about.update(store=3), "store is 3; expected a text"),
    "a further tensor": (lambda _, tensors: tensors.update(more=torch.ones(3)), "holds the tensor 'more'"),
    "fewer tensors": (lambda _, tensors: tensors.pop("head.positions.weight"), "lacks the tensor 'head.positions"),
    "texts of another width": (
        lambda _, tensors: tensors.update({"classifier.embeddings": torch.ones(2, 4, DIM + 1)}),
        "'classifier.embeddings' has the shape",
    ),
}


@pytest.mark.parametrize("what", CLAIMS)
def test_a_claim_that_the_tensors_do_not_hold_is_refused(folder, what):
    how, problem = CLAIMS[what]
    change(folder / "checkpoint.safetensors", how)
    with pytest.raises(DataError, match=rf"checkpoint\.safetensors: .*{problem}") as error:
        Run.read(folder)
    assert "\n" not in str(error.value)


MATCHER_CLAIMS = {
    "width": (lambda about, _: about["spec"].update(dim=10**9), "cannot be built|the model that it describes"),
    "keys": (lambda about, _: about["recipe"]["options"].update(width=10**6), "the model that it describes"),
    "tuples": (lambda about, _: about["recipe"]["options"].update(cardinalities=[2] * 10**5), "of more than the"),
    "an unknown key": (lambda about, _: about["recipe"].update(colour=1), "has no key 'colour'"),
    "steps that are a text": (lambda about, _: about["recipe"].update(steps="a"), "steps is 'a'; expected a whole"),
    "options that are a list": (
        lambda about, _: about["recipe"].update(options=[]),
        r"options is \[\]; expected a table",
    ),
    "a matcher that is a list": (
        lambda about, _: about["recipe"].update(matcher=[]),
        r"matcher is \[\]; expected a word",
    ),
}


@pytest.mark.parametrize("what", MATCHER_CLAIMS)
def test_a_claim_of_a_matcher_is_refused(matcher_folder, what):
    how, problem = MATCHER_CLAIMS[what]
    change(matcher_folder / "matcher.safetensors", how)
    with pytest.raises(DataError, match=rf"matcher\.safetensors: .*({problem})"):
        FewshotRun.read(matcher_folder)


@pytest.mark.parametrize("said", ["[" * 100_000, '{"recipe": NaN}', "9" * 5000, "[]", '"\\ud800"'])
def test_what_is_said_is_json_within_limits(folder, said):
    path = folder / "checkpoint.safetensors"
    save_file({"a": torch.ones(2)}, path, metadata={"framebank": said})
    with pytest.raises(DataError, match=r"checkpoint\.safetensors: "):
        Run.read(folder)


def test_a_header_that_claims_more_than_the_file_is_refused(folder):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**10], "data_offsets": [0, 4 * 10**10]}}).encode()
    (folder / "checkpoint.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(100))
    with pytest.raises(DataError, match=r"checkpoint\.safetensors: cannot be read as a checkpoint of framebank"):
        Run.read(folder)
