import shutil
from pathlib import Path

import numpy as np
import pytest

from framebank.heads.evaluation.by_protocol import half_of
from framebank.heads.evaluation.named import PROTOCOLS, protocol_names, read_protocol
from framebank.store import DataError
from framebank.store.videos.lists import read_list
from framebank.tests.places import DATA

LISTS = DATA / "labels"


@pytest.mark.parametrize("name", protocol_names())
def test_each_protocol_reads_and_is_called_as_its_file(name: str):
    found = read_protocol(name)
    assert found.name == name
    assert found.about and len(found.hash) == 12
    assert (PROTOCOLS / f"{name}.toml").read_text().startswith("# ")


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"{LISTS} with the official lists is not there")
@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "ucf101-zero-shot", "hmdb51-zero-shot"])
def test_the_counts_are_those_of_the_official_lists(name: str):
    folder = LISTS / name.partition("-")[0]
    protocol = read_protocol(name)
    assert len(protocol.splits) == 3
    for split in protocol.splits:
        assert len(read_list(folder / split.test[0])) == split.test_videos
        if split.train:
            assert len(read_list(folder / split.train[0])) == split.train_videos
    if name == "ucf101":
        assert (protocol.splits[0].train_videos, protocol.splits[0].test_videos) == (9537, 3783)


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"{LISTS} with the official lists is not there")
@pytest.mark.parametrize("shots", [2, 4, 8, 16])
@pytest.mark.parametrize(("data", "classes"), [("ucf101", 101), ("hmdb51", 51)])
def test_the_lists_of_few_shots(data: str, classes: int, shots: int):
    (split,) = read_protocol(f"{data}-{shots}-shot").splits
    folder = LISTS / "kshot" / data.rstrip("0123456789")
    train, test = read_list(folder / split.train[0]), read_list(folder / split.test[0])
    assert len(train) == split.train_videos == shots * classes
    assert len(test) == split.test_videos
    assert {row.split for row in train} == {"train"} and {row.split for row in test} <= {"test", "val"}


def test_the_hash_is_of_what_decides_a_figure(tmp_path: Path):
    text = (PROTOCOLS / "zero-shot-half.toml").read_text()
    (tmp_path / "a.toml").write_text(text.replace('about = "', 'about = "In other words: '))
    (tmp_path / "b.toml").write_text(text.replace("8, 9]", "8, 10]"))
    ours = read_protocol("zero-shot-half").hash
    assert read_protocol(tmp_path / "a.toml").hash == ours
    assert read_protocol(tmp_path / "b.toml").hash != ours
    assert len({read_protocol(name).hash for name in protocol_names()}) == len(protocol_names())


def test_halves_are_those_of_numpy():
    names = tuple(f"class {number}" for number in range(101))
    for seed in (0, 9):
        np.random.seed(seed)  # noqa: NPY002 - as the authors draw them
        order = np.random.permutation(101)  # noqa: NPY002
        assert half_of(names, seed) == tuple(names[place] for place in order[:50])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('kind = "supervised"', 'kind = "superb"'), "kind is 'superb'; expected supervised or zero-shot"),
        (('name = "', 'nam = "'), "has no key 'nam'; near names: 'name'"),
        (("test_videos = 3783", "test_videos = 0"), "test_videos is 0"),
        (('kind = "supervised"', 'kind = "supervised"\nval_fraction = 1.0'), "val_fraction is 1.0"),
        (("test_videos = 3783", "tests = 3783"), "has no key 'tests'"),
        (('test = ["testlist01.txt"]', 'test = ["trainlist01.txt"]'), "is trained on and tested on"),
        (('train = ["trainlist01.txt"]', ""), "expected a train list"),
        (('kind = "supervised"', 'kind = "supervised"\nvideos = "full"'), "videos is 'full'"),
        (('kind = "supervised"', 'kind = "zero-shot"\nvideos = "half"'), "expected a train list"),
    ],
)
def test_a_protocol_file_that_is_wrong(tmp_path: Path, change: tuple[str, str], told: str):
    text = (PROTOCOLS / "ucf101.toml").read_text()
    assert change[0] in text
    (tmp_path / "p.toml").write_text(text.replace(*change, 1))
    with pytest.raises(DataError, match=told) as error:
        read_protocol(tmp_path / "p.toml")
    assert str(tmp_path / "p.toml") in str(error.value)


def test_a_protocol_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="no protocol is named 'ucf'; expected one of hmdb51, "):
        read_protocol("ucf")
    with pytest.raises(DataError, match="no such protocol file"):
        read_protocol(tmp_path / "p.toml")
    shutil.copy(PROTOCOLS / "supervised.toml", tmp_path / "own.toml")
    assert read_protocol(tmp_path / "own.toml").hash == read_protocol("supervised").hash
