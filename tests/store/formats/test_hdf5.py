"""HDF5 files that are damaged or made to harm: each reader refuses them in a sentence, repair sets shards aside."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, LabelSet, PromptBank
from framebank.store.exchange.imports import import_features, imported_spec
from framebank.store.exchange.source import Names
from framebank.store.exchange.sources import open_source
from framebank.store.formats.description import DIGEST
from framebank.store.reader import ShardReader
from framebank.store.upkeep.repair import repair_store
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.hostile import HARM, ODD, Change, write_outside, zero_the_heap
from framebank.tests.worlds.store import DIM, SPEC, edited, make_earlier, make_store, seal

ROWS = {"a": 3, "b": 1, "c": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of two shards, a and b, and c, beside the files that nobody may read."""
    write_outside(tmp_path)
    return make_store(tmp_path / "store", ROWS)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Prompts of two classes."""
    write_outside(tmp_path)
    embeddings = np.random.default_rng(0).normal(size=(2, DIM)).astype(np.float32)
    bank = PromptBank(
        labels=LabelSet(("run", "walk")),
        texts=("to run", "to walk"),
        embeddings=embeddings,
        template=np.zeros(2, dtype=np.int64),
        end=np.arange(1, 3),
        templates=("to {}",),
        kind="names",
        encoder=SPEC,
        logit_scale=50.0,
    )
    bank.write(tmp_path / "prompts.h5")
    return tmp_path / "prompts.h5"


def apply(change: Change, path: Path, name: str) -> None:
    """Change a file, with right checksums where these can be made, as one would who means harm."""
    with h5py.File(path, "a") as file:
        change(file, name, path.parent.parent)
    try:
        with edited(path):
            pass
    except (DataError, TypeError, ValueError, AttributeError, KeyError):
        pass


def refused(path: Path, read: Callable[[], Any]) -> str:
    with pytest.raises(DataError) as error:
        read()
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


WRONG = [(change, name) for change in HARM.values() for name in ("streams/frame", "end", "timestamp", "view")]
WRONG += [(change, name) for change in ODD.values() for name in ("streams/frame", "end", "timestamp")]


@pytest.mark.parametrize(("change", "name"), WRONG, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_a_shard_is_refused_and_set_aside(folder: Path, change: Change, name: str) -> None:
    path = folder / "shard-00000.h5"
    apply(change, path, name)
    refused(path, lambda: [FeatureStore(folder).read_video(video_id) for video_id in "ab"])
    (fault, *_) = verify_store(folder).faults
    assert (fault.path, fault.hurts) == (path, "shard")
    repair = repair_store(folder)
    assert (repair.moved, repair.to_extract, repair.left) == ((path,), ("a", "b"), ())
    assert FeatureStore(folder).ids == ("c",)


@pytest.mark.parametrize("name", ["embeddings", "end", "template", "label"])
@pytest.mark.parametrize("change", [*HARM.values(), *ODD.values()], ids=[*HARM, *ODD])
def test_prompts_are_refused(prompts: Path, change: Change, name: str) -> None:
    apply(change, prompts, name)
    refused(prompts, lambda: PromptBank.read(prompts))


@pytest.mark.parametrize("change", HARM.values(), ids=HARM)
@pytest.mark.parametrize("name", ["features", "label"])
def test_an_import_is_refused(tmp_path: Path, change: Change, name: str) -> None:
    write_outside(tmp_path)
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "all.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.ones((2, 3, 8), dtype=np.float32)
        file["label"] = np.array([b"x", b"y"])
    apply(change, path, name)
    refused(path, lambda: open_source(path, Names()))


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_what_is_no_array_of_numbers_is_not_imported(tmp_path: Path, change: Change) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "all.h5"
    with h5py.File(path, "w") as file:
        file["features"], file["other"] = np.ones((2, 3, 8), dtype=np.float32), np.ones(3)
    apply(change, path, "features")

    def read() -> None:
        source = open_source(path, Names(array="features"))
        outcomes = list(import_features(tmp_path / "bank", source, spec=imported_spec({}, dim=8)))
        raise DataError(f"{path}: {outcomes[0].error}")  # a video that failed is said, too

    assert "Error:" not in refused(path, read)


def test_rows_picked_here_and_there(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", {"a": 2000})
    column = FeatureStore(folder)["a"].data
    with ShardReader(folder / "shard-00000.h5") as reader:
        for rows in (np.array([[7, 3], [1999, 0]]), np.arange(1000)[::-1], np.zeros((0, 3), np.int64)):
            np.testing.assert_array_equal(reader.picked("streams/frame", rows), column[rows])


def test_a_video_that_cannot_be_unpacked_is_a_failure_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "all.h5"
    with h5py.File(path, "w") as file:
        for number in range(3):
            file.create_dataset(f"v_{number}/c3d", data=np.full((3, 8), 1.5), chunks=(3, 8), compression="gzip")
        chunk = file["v_1/c3d"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    source = open_source(path, Names())
    outcomes = list(import_features(tmp_path / "bank", source, spec=imported_spec({}, dim=8)))
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, False]
    assert FeatureStore(tmp_path / "bank").ids == ("v_0", "v_2")


@pytest.fixture
def endless(folder: Path) -> Iterator[Path]:
    """That store, with a shard of an earlier version that keeps HDF5 for ever."""
    path = folder / "shard-00000.h5"
    make_earlier(path)
    zero_the_heap(path)
    yield path


def test_a_shard_that_keeps_hdf5_for_ever_is_named_and_set_aside(endless: Path) -> None:
    folder = endless.parent
    assert "does not finish" in refused(endless, lambda: FeatureStore(folder))
    assert verify_store(folder).faults[0].path == endless
    assert repair_store(folder).moved == (endless,)
    assert FeatureStore(folder).ids == ("c",)


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


ATTRIBUTES = {
    "infinite": set_attribute("dim", np.inf),
    "negative": set_attribute("dim", -8),
    "a list": set_attribute("model", ["a", "b"]),
    "not UTF-8": set_attribute("model", np.bytes_(b"\xff\xfe")),
    "numbers": set_attribute("model", np.arange(3)),
    "nothing": set_attribute("sampling", h5py.Empty("f4")),
    "of another schema": set_attribute("schema_version", 7),
}


@pytest.mark.parametrize("change", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attributes_that_no_shard_has(folder: Path, change: Callable[[h5py.File], None]) -> None:
    path = folder / "shard-00000.h5"
    with edited(path) as file:
        change(file)
    refused(path, lambda: FeatureStore(folder))


ENCODERS = ("[" * 5000, "[" * 200_000, '{"dim": ' + "1" * 5000 + "}", "[1]", "no", '{"dim": Infinity}')


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda text: text[:20])
@pytest.mark.parametrize("is_earlier", [False, True])
def test_attributes_that_no_prompts_have(prompts: Path, encoder: str, is_earlier: bool) -> None:
    if is_earlier:
        make_earlier(prompts)
    elif len(encoder) > 60_000:
        pytest.skip("no attribute of so many bytes lies in the file as plain bytes")
    with edited(prompts) as file:
        file.attrs["encoder"] = encoder if is_earlier else np.bytes_(encoder)
    refused(prompts, lambda: PromptBank.read(prompts))


@pytest.mark.parametrize(
    "ids", [b"a\0", b"a\0b", b"a\0b\0c\0", b"a\0\xff\0", b"a\0\xed\xa0\x80\0", b""], ids=lambda ids: ascii(ids)
)
def test_names_that_are_not_as_many_or_not_in_utf8(folder: Path, ids: bytes) -> None:
    path = folder / "shard-00000.h5"
    with edited(path) as file:
        attributes = dict(file["video_id"].attrs)
        del file["video_id"]
        file["video_id"] = np.frombuffer(ids, dtype=np.uint8)
        file["video_id"].attrs.update(attributes)
    refused(path, lambda: FeatureStore(folder))


def test_every_bit_of_what_a_shard_says_is_checked(folder: Path) -> None:
    path = folder / "shard-00000.h5"
    for name, value in {"model": np.bytes_("fakf"), "dim": 9, "further": 1}.items():
        copy = path.with_name("copy")
        shutil.copy(path, copy)
        with h5py.File(path, "a") as file:
            file.attrs[name] = value
        assert "does not have its checksum" in refused(path, lambda: FeatureStore(folder))
        copy.replace(path)
    FeatureStore(folder)


def test_values_are_held_against_their_checksum_when_they_are_read(folder: Path) -> None:
    path = folder / "shard-00000.h5"
    with h5py.File(path, "a") as file:
        file["streams/frame"][3, 0] += 1  # of b
    store = FeatureStore(folder)
    for read in (
        lambda: store["a"],
        lambda: store.read_packed(),
        lambda: store.read_some(["a"], "frame"),
        lambda: store.read_video("b"),
        lambda: store.read_stream("b", "frame"),
    ):
        assert "streams/frame does not have its checksum" in refused(path, read)
    assert store["c"].data.shape == (5, DIM)


@pytest.mark.parametrize("name", ["embeddings", "text", "label", "template", "end", "templates"])
def test_one_bit_of_prompts(prompts: Path, name: str) -> None:
    with h5py.File(prompts) as file:
        offset = file[name].id.get_offset()
    content = bytearray(prompts.read_bytes())
    content[offset] ^= 1
    prompts.write_bytes(content)
    assert f"{name} does not have its checksum" in refused(prompts, lambda: PromptBank.read(prompts))


def test_what_prompts_say_of_themselves_is_checked(prompts: Path) -> None:
    with h5py.File(prompts, "a") as file:
        file.attrs["logit_scale"] = 51.0
    assert "does not have its checksum" in refused(prompts, lambda: PromptBank.read(prompts))


def test_a_checksum_that_is_taken_away_is_missed(folder: Path) -> None:
    path = folder / "shard-00000.h5"
    with h5py.File(path, "a") as file:
        del file.attrs[DIGEST]
    assert "does not have its checksum" in refused(path, lambda: FeatureStore(folder))
    with h5py.File(path, "a") as file:
        file.attrs[DIGEST] = ""
        seal(file, path)
        del file["timestamp"].attrs[DIGEST]
    assert "does not have its checksum" in refused(path, lambda: FeatureStore(folder))


def test_links_and_names_of_a_made_up_file_come_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "all.h5"
    with h5py.File(path, "w") as file:
        file["v_0/c3d"] = np.ones((3, 4))
        file["v_1/c3d"] = np.ones((3, 4))
        for one, other in (("x", "y"), ("y", "x")):
            file[one] = h5py.SoftLink(f"/{other}/{other}")
        file["v_0/up"] = file["/"]
    assert [video.video_id for video in open_source(path, Names()).manifest.videos] == ["v_0", "v_1", "x", "y"]
