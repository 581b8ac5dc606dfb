"""`framebank store hold-out` says where each video went, also one that went where its source is."""

from pathlib import Path
from typing import Any

from framebank.store.upkeep.relabel import relabel_store
from framebank.tests.worlds.bank import put, write_store


def test_a_clip_that_goes_where_its_source_is_is_told_of(framebank: Any, tmp_path: Path) -> None:
    names = [f"run/v_run_g{source:02}_c{clip:02}" for source in range(1, 7) for clip in (1, 2)]
    for name in names:
        put(tmp_path / "videos" / f"{name}.mp4", name)
    bank = write_store(tmp_path / "bank", tmp_path / "videos")
    relabel_store(bank, {(names[0], "split"): "val"})
    lines = framebank("store", "hold-out", bank).stdout.splitlines()
    assert lines[0] == f"2 videos held out as the split test, 8 train -> {bank}"
    assert lines[1] == "1 video is in another split, where other clips of the source are"
    relabel_store(bank, {(names[1], "split"): ""})
    told = framebank("store", "hold-out", bank).stdout
    assert "1 video is in another split" in told and "had a split before" not in told
