"""The public names of the rooms that load them when they are asked for."""

import importlib

import pytest


@pytest.mark.parametrize("room", ["framebank.store", "framebank.extract"])
def test_every_public_name_is_there_and_no_other(room):
    module = importlib.import_module(room)
    for name in module.__all__:
        value = getattr(module, name)
        assert getattr(value, "__name__", name) == name and value
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'Nothing'"):
        _ = module.Nothing
