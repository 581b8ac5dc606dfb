import json

import pytest

from framebank.store import DataError, LabelSet
from framebank.store.errors import DataWarning
from framebank.store.videos.labels import class_text, read_class_numbers
from framebank.tests.places import DATA

OFFICIAL = DATA / "labels"
COUNTS = {
    "sthv1_label_map.txt": 174,
    "sthv2_label_map.txt": 174,
    "hmdb51_label_map.txt": 51,
    "diving48_label_map.txt": 48,
    "activitynet_label_map.txt": 200,
    "ucf101_label_map.txt": 101,
    "kinetics_label_map_k400.txt": 400,
    "kinetics_label_map_k600.txt": 600,
    "kinetics_label_map_k700.txt": 700,
    "hmdb_20_prompts_0_51_api.json": 51,
    "ucf_20_prompts.json": 101,
    "ssv1_20_prompts_0_174_api.json": 174,
    "k400_20_prompts_0_400_api.json": 400,
    "classInd.txt": 101,
    "Charades_v1_classes.txt": 157,
    "ZS_split1_K600.csv": 160,
    "hmdb_51_labels.csv": 51,
}


@pytest.mark.parametrize("name", ["PlayingPiano", "playing_piano", "Playing piano", " playing  Piano "])
def test_spellings_are_one_class(name):
    assert class_text(name) == "playing piano"
    assert LabelSet(("x", "Playing_Piano")).index(name) == 1


@pytest.mark.parametrize("name", ["TaiChi", "YoYo", "BMX", "Back+15som+NoTwis+PIKE", "MLBPitch", "a  b", "ÉcoleÀ"])
def test_class_text_of_its_own_text_is_itself(name):
    assert class_text(class_text(name)) == class_text(name)


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("a.txt", "walk\n\n  run \r\n", ("walk", "run")),
        ("a.txt", "\ufeffwalk\nrun", ("walk", "run")),
        ("a.txt", "1 ApplyEyeMakeup\n2 Archery\n", ("ApplyEyeMakeup", "Archery")),
        ("a.txt", "1 ApplyEyeMakeup\nArchery\n", ("1 ApplyEyeMakeup", "Archery")),
        ("a.txt", "c000 Holding some clothes\nc001 Waving", ("Holding some clothes", "Waving")),
        ("a.csv", 'id,name\n0,walk\n1,"tying, not untying"\n', ("walk", "tying, not untying")),
        ("a.csv", "\ufeffid,name\n0,walk\n", ("walk",)),
        ("a.json", '["walk", "run"]', ("walk", "run")),
        ("a.json", '\ufeff["walk"]', ("walk",)),
        ("a.json", '{"walk": ["legs move"], "run": "fast"}', ("walk", "run")),
        ("a.json", '{"walk": "1", "run": "0"}', ("run", "walk")),
        ("a.json", '{"walk": 10, "run": 9}', ("run", "walk")),
    ],
)
def test_read(tmp_path, file, text, names):
    (tmp_path / file).write_bytes(text.encode())
    assert LabelSet.read(tmp_path / file).names == names


def test_descriptions(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"walk": ["legs move", "slowly"], "run": "fast"}')
    labels = LabelSet.read(path)
    assert labels.described
    assert labels.descriptions == {"walk": ("legs move", "slowly"), "run": ("fast",)}
    path.write_text('{"walk": ["legs move"], "run": []}')
    assert not LabelSet.read(path).described


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.txt", "", "at least one class"),
        ("a.txt", "PlayingPiano\nplaying piano", "'playing piano' is listed twice (first as 'PlayingPiano')"),
        ("a.txt", "___\nwalk", "'___' is blank"),
        ("a.json", "[]", "at least one class"),
        ("a.json", "{\n'walk'}", "is not JSON (line 2)"),
        ("a.json", "3", "holds a int; expected a list of names"),
        ("a.json", '["walk", 3]', "holds a list; expected"),
        ("a.json", '{"walk": [""]}', "the descriptions of 'walk' are not a list of sentences"),
        ("a.json", '{"walk": {"a": "b"}}', "the descriptions of 'walk' are not"),
        ("a.json", '{"walk": ["a"], "walk": ["b"]}', "'walk' is listed twice"),
    ],
)
def test_bad_file_says_which_and_why(tmp_path, file, text, message):
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(DataError) as error:
        LabelSet.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("file", "text", "numbers"),
    [
        ("a.txt", "1 ApplyEyeMakeup\n3 Archery\n", {1: "ApplyEyeMakeup", 3: "Archery"}),
        ("a.txt", "c007 Waving\nc000 Holding some clothes", {7: "Waving", 0: "Holding some clothes"}),
        ("a.txt", "walk\nrun", {0: "walk", 1: "run"}),
        ("a.csv", 'id,name\n5,walk\n2,"a, b"\n', {5: "walk", 2: "a, b"}),
        ("a.json", '{"walk": "1", "run": "0"}', {0: "run", 1: "walk"}),
    ],
)
def test_class_numbers(tmp_path, file, text, numbers):
    (tmp_path / file).write_text(text)
    assert read_class_numbers(tmp_path / file) == numbers


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.txt", "1 Archery\n1 Biking\n", "the number 1 stands for two classes"),
        ("a.txt", "c001 Archery\n01 Biking\n", "the number 1 stands for two classes"),
        ("a.csv", "id,name\n0,walk\n0,run\n", "the number 0 stands for two classes"),
        ("a.csv", "id,name\none,walk\n", "the id 'one' is not a number"),
        ("a.csv", "id,name\n,walk\n", "the id '' is not a number"),
        ("a.csv", "id,name\n1\n", "the class name '' is blank"),
        ("a.csv", "id,name\n", "a label set needs at least one class name"),
        ("a.txt", "1 Archery\n2 archery\n", "'archery' is listed twice (first as 'Archery')"),
    ],
)
def test_class_numbers_that_are_wrong(tmp_path, file, text, message):
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_class_numbers(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(DataError, match="no such labels file"):
        LabelSet.read(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="cannot be read as a labels file"):
        LabelSet.read(tmp_path / "latin.txt")
    with pytest.raises(DataError, match="cannot be read as a labels file"):
        LabelSet.read(tmp_path)


def test_require_covers():
    labels = LabelSet(("walk", "run"))
    labels.require_covers(["Walk", "RUN"], mine="m", theirs="t")
    with pytest.raises(DataError) as error:
        labels.require_covers(["d", "c", "b", "a", "walk"], mine="m", theirs="t")
    assert str(error.value) == "m has 2 classes without 'a', 'b', 'c' and 1 more, labels of t"


@pytest.mark.parametrize("name", COUNTS)
def test_official_lists(name):
    if not OFFICIAL.is_dir():
        pytest.skip("the official lists are not here")
    (path,) = OFFICIAL.rglob(name)
    labels = LabelSet.read(path)
    assert len(labels) == COUNTS[name]
    assert labels.described == (path.suffix == ".json")
    assert not any(n[0].isdigit() and n[1:2] in (" ", ",") for n in labels.names)
    if path.suffix == ".json":
        assert labels.descriptions == {n: tuple(d) for n, d in json.loads(path.read_text()).items()}


def test_labels_that_are_one_class_are_taken_as_one():
    with pytest.warns(DataWarning) as caught:
        labels = LabelSet.of(("Walk", "high_jump", "run", "walk", "HighJump"))
    assert labels.names == ("Walk", "high_jump", "run")
    assert [labels.index(name) for name in ("walk", "HighJump")] == [0, 1]
    assert str(caught[0].message) == (
        "2 classes are written in several ways, which count as one class: 'Walk', 'walk'; 'high_jump', 'HighJump'"
    )


def test_labels_of_their_own_are_taken_as_they_are(recwarn):
    assert LabelSet.of(("walk", "run")).names == ("walk", "run")
    assert not recwarn.list
