"""Digest: the same for the same numbers under the same names, another for any other."""

import numpy as np

from framebank.store.digest import digest


def test_any_change_changes_it_and_the_order_does_not() -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(1.5, dtype=np.float32)}
    name = digest(arrays)
    assert len(name) == 32
    assert digest({"b": arrays["b"], "a": arrays["a"]}) == name
    assert digest({"a": arrays["a"], "c": arrays["b"]}) != name
    assert digest({"a": arrays["a"] + 1e-12, "b": arrays["b"]}) != name
    assert digest({"a": np.asfortranarray(arrays["a"]), "b": arrays["b"]}) == name
