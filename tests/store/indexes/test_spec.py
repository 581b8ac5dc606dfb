"""spec.json of an index: typed, and with digests of the files beside it."""

import json
import struct

import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.digest import SEAL, seal
from framebank.store.indexes.flat import HEADER, map_flat
from framebank.store.indexes.index import Index
from framebank.store.indexes.origin import Origin
from framebank.tests.worlds.store import DIM, SPEC, videos

NAMES = ("a", "b", "c,é")


@pytest.fixture
def folder(tmp_path):
    vectors = np.random.default_rng(1).normal(size=(len(NAMES), DIM))
    origin = Origin(
        tmp_path, "all", (1, 2), {"shard-00000.h5": (3, 4)}, np.zeros(3, int), np.ones(3, int), {"z": "none"}
    )
    made_by = {"head": "mean", "run": None, "store": "/bank"}
    Index(vectors, videos(*NAMES), spec=SPEC, made_by=made_by, origin=origin).save(tmp_path / "i")
    return tmp_path / "i"


def change(folder, how, *, sealed=False):
    """Write spec.json with a change, and with its own digest left, or made anew."""
    path = folder / "spec.json"
    about = json.loads(path.read_text())
    about = how(about) or about
    if sealed:
        beside = {"ids.csv": np.frombuffer((folder / "ids.csv").read_bytes(), dtype=np.uint8)}
        about[SEAL] = seal({name: value for name, value in about.items() if name != SEAL}, beside)
    path.write_text(json.dumps(about))


CHANGED = {
    "how it was pooled": lambda about: about["made_by"].update(head="max"),
    "where it is from": lambda about: about["made_by"].update(store="/another"),
    "the encoder": lambda about: about["spec"].update(weights_hash="another"),
    "the origin": lambda about: about["origin"].update(split="test"),
    "a stamp": lambda about: about["origin"]["shards"].update({"shard-00000.h5": [3, 5]}),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_value_is_refused(folder, what):
    change(folder, CHANGED[what])
    with pytest.raises(DataError, match=r"i: spec\.json or ids\.csv is not as it was written: .* make it again"):
        Index.load(folder)


def test_a_changed_path_or_mark_is_refused(folder):
    text = (folder / "ids.csv").read_text()
    for old, new in ((",0,1", ",0,2"), ("a.mp4", "b.mp4")):
        assert old in text
        (folder / "ids.csv").write_text(text.replace(old, new, 1))
        with pytest.raises(DataError, match=r"i: spec\.json or ids\.csv is not as it was written"):
            Index.load(folder)
    (folder / "ids.csv").write_text(text)
    assert len(Index.load(folder)) == 3


def test_an_index_of_before_has_no_digest_of_its_own(folder):
    change(folder, lambda about: about.pop(SEAL) and None)
    assert Index.load(folder).made_by["head"] == "mean"


WRONG = {
    "made_by": (lambda about: about.update(made_by=[]), r"made_by is \[\]; expected an object"),
    "head": (lambda about: about["made_by"].update(head=3), "made_by: head is 3; expected a text"),
    "run": (lambda about: about["made_by"].update(run=["a"]), r"made_by: run is \['a'\]; expected a text"),
    "digest": (lambda about: about.update(digest=5), "digest is 5; expected a text"),
    "version": (lambda about: about.update(version="2"), "version is '2'; expected a whole number from 1"),
    "no spec": (lambda about: about.pop("spec") and None, "spec is missing; expected an object"),
    "dim": (lambda about: about["spec"].update(dim=1.5), "dim is 1.5; expected a whole number from 1"),
    "origin": (lambda about: about.update(origin=3), "origin is 3; expected an object"),
    "manifest": (lambda about: about["origin"].update(manifest=[1]), r"manifest is \[1\]; expected the size and the"),
    "shards": (lambda about: about["origin"].update(shards=[1]), r"shards is \[1\]; expected an object"),
    "stamp": (
        lambda about: about["origin"].update(shards={"a": ["x", 1]}),
        r"a is \['x', 1\]; expected a list of whole",
    ),
    "left out": (lambda about: about["origin"].update(left_out={"a": 1}), "left_out: a is 1; expected a text"),
    "a list": (lambda about: [about], "expected an object"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_value_of_another_type_is_refused(folder, what):
    how, problem = WRONG[what]
    change(folder, how, sealed=what != "a list")
    with pytest.raises(DataError, match=f"i(: the index cannot be read|/spec.json: ).*{problem}"):
        Index.load(folder)


def test_an_infinite_version_is_refused(folder):
    (folder / "spec.json").write_text('{"version": Infinity, "digest": "a"}')
    with pytest.raises(DataError, match="holds inf, which is not a finite number"):
        Index.load(folder)


CLAIMS = {
    "vectors": {2: 10**9},
    "values": {7: 10**9},
    "width": {1: 10**6},
    "all of them": {1: 10**5, 2: 10**5, 7: 10**10},
    "another kind": {0: b"IxHN"},
}


@pytest.mark.parametrize("what", CLAIMS)
def test_vectors_that_are_not_there_are_refused_before_faiss_makes_room(folder, what):
    path = folder / "index.faiss"
    content = path.read_bytes()
    map_flat(path)
    said = list(HEADER.unpack(content[: HEADER.size]))
    for place, value in CLAIMS[what].items():
        said[place] = value
    path.write_bytes(HEADER.pack(*said) + content[HEADER.size :])
    with pytest.raises(DataError, match=r"index\.faiss: claims \d+ vectors of width \d+ in \d+ bytes; it is damaged"):
        Index.load(folder)
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match="it is damaged"):
        Index.load(folder)
    path.write_bytes(struct.pack("<4s", b"IxFI"))
    with pytest.raises(DataError, match="cannot be read as an index"):
        Index.load(folder)
