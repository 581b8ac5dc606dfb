"""What is loaded when it is first asked for: the public names of rooms, and libraries that an extra installs."""

import importlib
import sys
from pathlib import Path

import pytest

from framebank.store import DataError
from framebank.store.lazy import require


@pytest.mark.parametrize("room", ["framebank.store", "framebank.extract"])
def test_every_public_name_is_there_and_no_other(room):
    module = importlib.import_module(room)
    for name in module.__all__:
        value = getattr(module, name)
        assert getattr(value, "__name__", name) == name and value
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'Nothing'"):
        _ = module.Nothing


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert require("json.decoder", extra="none", what="it").JSONDecoder
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # importing it now fails as where there is none
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    for module in ("pyarrow", "pyarrow.parquet"):
        with pytest.raises(
            DataError, match=r"^parquet: pyarrow is not installed \(pip install framebank\[exchange\]\)$"
        ):
            require(module, extra="exchange", what="parquet")
    (tmp_path / "broken_library.py").write_text("import another_that_is_missing", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"^it: broken_library is installed and cannot be loaded \(No module named"):
        require("broken_library", extra="none", what="it")
