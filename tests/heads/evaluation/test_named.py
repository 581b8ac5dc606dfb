import shutil
from pathlib import Path

import numpy as np
import pytest

from framebank.heads.evaluation.by_names import half_of
from framebank.heads.evaluation.divided import hash_of_lists
from framebank.heads.evaluation.named import PROTOCOLS, protocol_names, read_protocol
from framebank.store import DataError, LabelSet
from framebank.store.videos.lists import read_list
from framebank.tests.places import DATA, ROOT

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


def test_the_page_names_each_protocol():
    page = (ROOT / "docs" / "figures.md").read_text()
    assert [name for name in protocol_names() if f"`{name}`" not in page] == []


def test_the_hash_is_of_what_decides_a_figure(tmp_path: Path):
    text = (PROTOCOLS / "zero-shot-half.toml").read_text()
    (tmp_path / "a.toml").write_text(text.replace('about = "', 'about = "In other words: '))
    (tmp_path / "b.toml").write_text(text.replace("8, 9]", "8, 10]"))
    for number, fixed in enumerate(('templates = ["{}"]', 'class_names = ["a"]', 'sampling = "segments:8"')):
        (tmp_path / f"fixed-{number}.toml").write_text(f"{text}\n{fixed}\n")
    ours = read_protocol("zero-shot-half").hash
    assert read_protocol(tmp_path / "a.toml").hash == ours
    others = {read_protocol(tmp_path / f"{name}.toml").hash for name in ("b", "fixed-0", "fixed-1", "fixed-2")}
    assert len(others) == 4 and ours not in others
    assert len({read_protocol(name).hash for name in protocol_names()}) == len(protocol_names())


def test_the_hashes_of_earlier_versions_stay():
    """Results that were written before name these hashes."""
    assert read_protocol("ucf101").hash == "3893aeda3b5a"
    assert read_protocol("zero-shot-half").hash == "0b3b32c88a1e"
    assert read_protocol("supervised").hash == "6c0c0654cfd3"


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"{LISTS} with the official lists is not there")
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("ucf101-base-to-novel", "base2novel/ucf"),
        ("hmdb51-base-to-novel", "base2novel/hmdb"),
        ("kinetics600-zero-shot", "k600_zeroshot"),
        ("charades", "charades"),
    ],
)
def test_the_counts_of_other_lists(name: str, folder: str):
    counts = {"train": "train_videos", "test": "test_videos", "novel": "novel_videos", "classes": "num_classes"}
    seen = 0
    for split in read_protocol(name).splits:
        for side, count in counts.items():
            for file in getattr(split, side):
                path = LISTS / folder / file
                if path.is_file():  # of Charades, the list of test videos only
                    read = LabelSet.read(path).names if side == "classes" else read_list(path)
                    assert len(read) == getattr(split, count)
                    seen += 1
    assert seen >= 1


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"{LISTS} with the official lists is not there")
@pytest.mark.parametrize(
    ("name", "folder"),
    [("ucf101", "ucf101"), ("hmdb51", "hmdb51"), ("kinetics100", "kinetics100"), ("ssv2-small", "ssv2_small")],
)
def test_the_hashes_of_the_lists_of_episodes(name: str, folder: str):
    protocol = read_protocol(f"{name}-episodes")
    files = [LISTS / "fewshot" / folder / file for file in protocol.class_lists]
    assert hash_of_lists(files) == protocol.class_lists_hash
    assert hash_of_lists(files[:2]) != protocol.class_lists_hash


def test_halves_are_those_of_numpy():
    names = tuple(f"class {number}" for number in range(101))
    for seed in (0, 9):
        np.random.seed(seed)  # noqa: NPY002 - as the authors draw them
        order = np.random.permutation(101)  # noqa: NPY002
        assert half_of(names, seed) == tuple(names[place] for place in order[:50])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('kind = "supervised"', 'kind = "superb"'), "kind is 'superb'; expected one of supervised, zero-shot, "),
        (('name = "', 'nam = "'), "has no key 'nam'; near names: 'name'"),
        (("test_videos = 3783", "test_videos = 0"), "test_videos is 0"),
        (('kind = "supervised"', 'kind = "supervised"\nval_fraction = 1.0'), "val_fraction is 1.0"),
        (("test_videos = 3783", "tests = 3783"), "has no key 'tests'"),
        (('test = ["testlist01.txt"]', 'test = ["trainlist01.txt"]'), "is trained on and tested on"),
        (('train = ["trainlist01.txt"]', ""), "expected a train list"),
        (('kind = "supervised"', 'kind = "supervised"\nvideos = "full"'), "videos is 'full'"),
        (
            ('kind = "supervised"', 'kind = "zero-shot"\nvideos = "half"'),
            "has train and test; expected test or classes",
        ),
        (
            ('kind = "supervised"', 'kind = "supervised"\nway = 5'),
            "way is 5; expected no such key in a protocol of the",
        ),
        (('kind = "supervised"', 'kind = "episodes"'), "no such key in a protocol of the kind 'episodes'"),
        (('kind = "supervised"', 'kind = "supervised"\nseeds = [1]'), "expected no seeds beside splits"),
        (('kind = "supervised"', 'kind = "supervised"\ntemplates = ["a"]'), "expected sentences that hold {} once"),
        (('kind = "supervised"', 'kind = "supervised"\nclass_names = ["a", "A"]'), "expected different names"),
        (('kind = "supervised"', 'kind = "supervised"\nsettings = {shots = 8}'), "expected a recipe beside them"),
        (("train_videos = 9537", "novel_videos = 9537"), "novel_videos is 9537; expected novel beside it"),
    ],
)
def test_a_protocol_file_that_is_wrong(tmp_path: Path, change: tuple[str, str], told: str):
    text = (PROTOCOLS / "ucf101.toml").read_text()
    assert change[0] in text
    (tmp_path / "p.toml").write_text(text.replace(*change, 1))
    with pytest.raises(DataError, match=told) as error:
        read_protocol(tmp_path / "p.toml")
    assert str(tmp_path / "p.toml") in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("seeds", "[0, 1]", "expected one seed"),
        ("seeds", "[]", "expected one seed"),
        ("shots", "[]", "expected different numbers"),
        ("shots", "[1, 1]", "expected different numbers"),
        ("baselines", "[]", "expected a matcher that reads no texts"),
        ("baselines", '["text"]', "expected a matcher that reads no texts"),
    ],
)
def test_episodes_that_cannot_be_scored(tmp_path: Path, key: str, value: str, told: str):
    lines = (PROTOCOLS / "episodes.toml").read_text().splitlines()
    changed = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in lines]
    (tmp_path / "p.toml").write_text("\n".join(changed))
    with pytest.raises(DataError, match=rf"p\.toml: {key} is .*{told}"):
        read_protocol(tmp_path / "p.toml")


def test_base_to_novel_has_a_draw(tmp_path: Path):
    (tmp_path / "p.toml").write_text('name = "a"\nabout = "b"\nkind = "base-to-novel"\nsplits = []\n')
    with pytest.raises(DataError, match="expected one draw at least"):
        read_protocol(tmp_path / "p.toml")


def test_a_protocol_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match=r"no protocol is named 'ucf'; expected one of .*hmdb51, "):
        read_protocol("ucf")
    with pytest.raises(DataError, match="no such protocol file"):
        read_protocol(tmp_path / "p.toml")
    shutil.copy(PROTOCOLS / "supervised.toml", tmp_path / "own.toml")
    assert read_protocol(tmp_path / "own.toml").hash == read_protocol("supervised").hash
