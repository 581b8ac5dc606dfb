from framebank.store.formats.table import read_table
from framebank.store.videos import inputs


def test_a_csv_of_videos_is_read_once(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(inputs, "read_table", lambda path, **wanted: reads.append(path) or read_table(path, **wanted))
    (tmp_path / "videos.csv").write_text("video_id,path\na,a.mp4\n")
    assert len(inputs.read_videos([tmp_path / "videos.csv"]).videos) == 1
    assert len(reads) == 1
