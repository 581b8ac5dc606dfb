"""The vectors of names beside an index: read where they are what is asked for, and made again elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.store.indexes.names import FILE, read_names, write_names
from framebank.tests.worlds.store import SPEC

NAMES = ("a chair", "a dog")
VECTORS = np.eye(2, 8, dtype=np.float32)


def test_they_come_back_for_the_same_names_and_the_same_encoder_alone(tmp_path: Path) -> None:
    assert read_names(tmp_path, NAMES, SPEC) is None
    write_names(tmp_path, NAMES, SPEC, VECTORS)
    assert read_names(tmp_path, NAMES, replace(SPEC, sampling="fps:2")) == pytest.approx(VECTORS)
    assert read_names(tmp_path, NAMES[::-1], SPEC) is None
    assert read_names(tmp_path, NAMES, replace(SPEC, weights_hash="f" * 16)) is None


def test_what_is_damaged_counts_as_nothing(tmp_path: Path) -> None:
    write_names(tmp_path, NAMES, SPEC, VECTORS)
    content = (tmp_path / FILE).read_bytes()
    for place in range(0, len(content), 7):
        (tmp_path / FILE).write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        found = read_names(tmp_path, NAMES, SPEC)
        assert found is None or (found == VECTORS).all()
    (tmp_path / FILE).write_bytes(b"")
    assert read_names(tmp_path, NAMES, SPEC) is None


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    write_names(tmp_path / "file", NAMES, SPEC, VECTORS)
