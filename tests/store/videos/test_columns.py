"""Videos as columns: the same videos as a row at a time, and the same refusals."""

from pathlib import Path

import pytest

from framebank.store import DataError, Manifest
from framebank.store.formats.table import read_table
from framebank.store.videos import videos_csv
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.video import Video

HEAD = "video_id,path,label,split"
TEXTS = {
    "plain": f"{HEAD}\na,/v/a.mp4,wave,train\nb,b.mp4,,test\n",
    "times": f"{HEAD},start,end\na,/v/a.mp4,wave,train,1.5,00:01:02\nb,/v/b.mp4,wave,TEST,,\nc,/v/c.mp4,,,,3\n",
    "groups": f"{HEAD},group\na,/v/a.mp4,wave,train, one \nb,/v/b.mp4,wave,val,\n",
    "names": f"{HEAD}\ne\u0301,/v/e\u0301.mp4,cafe\u0301,train\n\u00e9x,x y.mp4,cafe\u0301; t\u00e9,train\n",
    "quotes": f'{HEAD}\n"a,1","/v/a\n1.mp4","say ""hi""",train\n\nb,/v//b.mp4,wave,train\n',
    "several": f"{HEAD}\na,/v/a.mp4,wave;clap,train\nb,/v/b.mp4,wave;clap,train\n",
}
BAD = {
    "an id twice": f"{HEAD}\na,/v/a.mp4,,\na,/v/b.mp4,,\n",
    "a row too short": f"{HEAD}\na,/v/a.mp4,\n,,x,\n",
    "no id": f"{HEAD}\n,/v/a.mp4,x,\n",
    "no time": f"{HEAD},start,end\na,/v/a.mp4,,,soon,\n",
    "no span": f"{HEAD},start,end\na,/v/a.mp4,,,5,4\n",
    "half a label": f"{HEAD}\na,/v/a.mp4,wave;,train\n",
    "no video": f"{HEAD}\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_list_reads_the_same_by_columns_and_by_rows(tmp_path, name):
    path = tmp_path / "manifest.csv"
    path.write_text(TEXTS[name])
    assert videos_csv._own_columns(path, TEXTS[name]) is not None
    by_rows = videos_csv.videos_of(read_table(path))
    assert Manifest.read_csv(path).videos == by_rows
    assert Manifest.read_csv(path) == Manifest(by_rows)


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_with_the_file(tmp_path, name):
    path = tmp_path / "manifest.csv"
    path.write_text(BAD[name])
    with pytest.raises(DataError, match=r"manifest\.csv"):
        Manifest.read_csv(path)


def test_a_video_is_made_when_it_is_asked_for():
    videos = [
        Video("a", Path("/v/a.mp4"), "wave", "train", 1.0, None),
        Video("b", Path("/v/b.mp4"), group="g"),
        Video("c", Path("/v/c.mp4"), "clap", "test", None, 2.5, "g"),
    ]
    columns = VideoColumns.of(videos)
    assert list(columns) == videos
    assert columns[-1] == videos[2]
    assert list(columns[1:]) == videos[1:]
    assert list(columns.select([2, 0])) == [videos[2], videos[0]]
    assert Manifest(columns).split("test").videos == (videos[2],)
    assert Manifest(columns).labelled().videos == (videos[0], videos[2])
