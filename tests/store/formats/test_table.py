"""CSV files as people write them: what divides the cells, headers, encodings, times; and Kinetics' own columns."""

from pathlib import Path

import pytest

from framebank.store import DataError, LabelSet, Manifest, Video
from framebank.store.formats.table import parse_seconds, parse_table
from framebank.store.videos.class_splits import read_class_splits
from framebank.store.videos.inputs import read_videos
from framebank.tests.store.files.test_walk import touch

EXPECTED = (Video("a", Path("/v/a, b.mp4"), "run", "train", 1.5, 62.0), Video("ü", Path("/v/u.mp4"), "x;y", "val"))
ROWS = ("a|/v/a, b.mp4|run|train|1.5|1:02", "ü|/v/u.mp4|x;y|val||")


def text(header: str = "video_id|path|label|split|start|end", *, by: str = ",", end: str = "\n") -> str:
    lines = [header.replace("|", by)]
    for row in ROWS:
        cells = [f'"{cell}"' if "," in cell or ";" in cell else cell for cell in row.split("|")]
        lines.append(by.join(cells))
    return "".join(f"{line}{end}" for line in lines)


@pytest.mark.parametrize("by", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_and_encodings(tmp_path, by, encoding, end):
    path = tmp_path / "m.csv"
    path.write_bytes(text(by=by, end=end).encode(encoding))
    assert Manifest.read([path]).videos == EXPECTED


@pytest.mark.parametrize(
    "header",
    [
        "VIDEO_ID|Path|Label|SPLIT|Start|End",
        " video_id | path |label|split|start| end ",
        "Video ID|path|label|split|start|end",
        "video-id|path|label|split|start|end",
    ],
)
@pytest.mark.parametrize("by", [",", ";"])
def test_headers(tmp_path, header, by):
    path = tmp_path / "m.csv"
    path.write_text(text(header, by=by))
    assert Manifest.read([path]).videos == EXPECTED


def test_blanks_after_the_delimiters(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("video_id, path, label\na, x/a.mp4, run\n")
    assert Manifest.read([path]).videos == (Video("a", tmp_path / "x/a.mp4", "run"),)
    path.write_text("video_id,path,label\na, a.mp4,run\n")  # then a blank may be a part of the name
    assert Manifest.read([path]).videos == (Video("a", tmp_path / " a.mp4", "run"),)


def test_what_spreadsheets_add(tmp_path):
    path = tmp_path / "m.csv"
    for first in ("sep=;", '"sep=;"'):
        path.write_text(f"{first}\nvideo_id;path;start\na;a.mp4;1,5\n;;\nb;b.mp4;;;\n")
    assert Manifest.read([path]).videos == (Video("a", tmp_path / "a.mp4", start=1.5), Video("b", tmp_path / "b.mp4"))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("video_id,path,label,split", ""),
        ("video_id,path,mood,colour", ""),
        ("video_id,path,start,start_time", ""),
        ("video_id,path,class,Subset", "'class' is not read as 'label', 'subset' is not read as 'split'"),
        ("video_id,path,Start Time,End (s)", "'start_time' is not read as 'start', 'end_(s)' is not read as 'end'"),
    ],
)
def test_a_column_that_is_nearly_ours_is_told(tmp_path, recwarn, header, told):
    path = tmp_path / "m.csv"
    path.write_text(f"{header}\na,a.mp4,1,2\n")
    Manifest.read([path])
    assert [str(one.message) for one in recwarn] == (
        [f"{path}: its column {told}; rename it if that is what it holds"] if told else []
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('sep=;\na;b\n1;"2\n', "line 3: is not CSV"),
        ("# by hand\na,b,c\n", "line 2: has 3 values, but the first line names 1 column, '# by hand'"),
        ("a,b\n1,2\n" + "\0" * 100, "line 3 holds the character NUL"),
        ("video_id,path,label\na,a.mp4,run\nb,b, c.mp4,run\n", "line 3: has 4 values, but the first line names 3 col"),
        (
            "video_id;path\na;a.mp4;run\n",
            "line 2: has 3 values, but the first line names 2 columns; put a value",
        ),
        ("sep=;\nvideo_id;path\na;a.mp4;run\n", "line 3: has 3 values"),
        ("video_id,path,Label,label\na,a.mp4,x,y\n", "its first line names the column 'label' twice"),
        ("name;file\na;b\n", r"no column 'video_id' \(its columns: name, file\); expected video_id, path, label"),
        (
            "video_id,path,start\na,a.mp4,soon\n",
            "line 2: the start 'soon' is not a number of seconds or a time",
        ),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        Manifest.read([path])
    assert str(error.value).startswith(str(path))


def test_an_encoding_that_is_not_read_says_how_to_save(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes("video_id,path\né,é.mp4\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"m\.csv: cannot be read as text: .*expected UTF-8 or UTF-16"):
        Manifest.read([path])


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("12.5", 12.5), ("0:12", 12), ("1:02", 62), ("75:30", 4530), ("00:01:02.5", 62.5), ("1:00:00", 3600)],
)
def test_times(time, seconds):
    assert parse_seconds(time) == seconds


@pytest.mark.parametrize("time", ["0:72", "1:60:00", "0:0:0:1", "1:-2", "a", "1:", ":5", ""])
def test_times_that_are_none(time):
    with pytest.raises(ValueError, match=r"could not convert|is not a time"):
        parse_seconds(time)


def test_rows_that_end_early():
    table = parse_table(Path("t.csv"), "a,b,c\n1,2\n")
    assert table.rows[0].cells == {"a": "1", "b": "2", "c": ""}
    with pytest.raises(DataError, match=r"t\.csv, line 2: does not have the 3 columns"):
        table.require_full_rows()


KINETICS = (
    "label,youtube_id,time_start,time_end,split\nair drumming,abc,12,22,train\nx,d_e,0,10,validate\nx,gone,1,2,train\n"
)


@pytest.mark.parametrize("by", [",", ";", "\t"])
def test_kinetics_own_columns(tmp_path, by):
    touch(tmp_path, "train/air drumming/abc_000012_000022.mp4", "val/d_e.mkv", "other.mp4")
    path = tmp_path / "kinetics.csv"
    path.write_text(KINETICS.replace(",", by))
    intake = read_videos([path])
    assert intake.videos == (
        Video("abc_000012_000022", tmp_path / "train/air drumming/abc_000012_000022.mp4", "air drumming", "train"),
        Video("d_e_000000_000010", tmp_path / "val/d_e.mkv", "x", "val", 0.0, 10.0),  # a part of the whole video
    )
    assert intake.counts == {"row without its file": 1}
    assert intake.files == {"row without its file": [str(tmp_path / "gone_000001_000002.mp4")]}


def test_kinetics_times_as_a_clock_shows_them(tmp_path):
    touch(tmp_path, "a_000062_000072.mp4")
    path = tmp_path / "k.csv"
    path.write_text("Label;YouTube ID;Time Start;Time End\nx;a;00:01:02;00:01:12\n")
    assert [video.video_id for video in read_videos([path]).videos] == ["a_000062_000072"]


def test_kinetics_without_its_files(tmp_path):
    path = tmp_path / "k.csv"
    path.write_text(KINETICS)
    with pytest.raises(DataError, match=r"k\.csv: no file of its 3 rows is below .*abc_000012_000022\.mp4 there"):
        read_videos([path])
    touch(tmp_path, "a/abc.mp4", "b/abc.mp4")
    with pytest.raises(DataError, match=r"line 2: 'abc_000012_000022' may be .*a/abc\.mp4 or .*b/abc\.mp4"):
        read_videos([path])


def test_other_tables_are_read_alike(tmp_path):
    classes = tmp_path / "labels.csv"
    classes.write_bytes('ID;Name\r\n0;"run; fast"\r\n1;wave\r\n'.encode("utf-16"))
    assert LabelSet.read(classes).names == ("run; fast", "wave")
    splits = tmp_path / "splits.csv"
    splits.write_text("Class\tSplit\nrun\ttrain\nwave\tTest\n")
    assert read_class_splits([splits]).split_of == {"run": "train", "wave": "test"}


def test_a_tsv_is_a_table_too(tmp_path):
    (tmp_path / "m.tsv").write_text("video_id\tpath\tlabel\na\t/v/a.mp4\trun\n")
    assert Manifest.read([tmp_path / "m.tsv"]).videos == (Video("a", Path("/v/a.mp4"), "run"),)
    with pytest.raises(DataError, match="given with other sources"):
        Manifest.read([tmp_path / "m.tsv", tmp_path / "m.tsv"])


def test_a_first_line_of_one_column_is_counted_right():
    with pytest.raises(DataError, match="the first line names 1 column, '# made by hand'; put"):
        parse_table(Path("m.csv"), "# made by hand\nvideo_id,path\n")
