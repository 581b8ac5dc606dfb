"""Digest: the same for the same numbers under the same names, another for any other."""

import json

import numpy as np

from framebank.store.digest import digest, seal


def test_any_change_changes_it_and_the_order_does_not() -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(1.5, dtype=np.float32)}
    name = digest(arrays)
    assert len(name) == 32
    assert digest({"b": arrays["b"], "a": arrays["a"]}) == name
    assert digest({"a": arrays["a"], "c": arrays["b"]}) != name
    assert digest({"a": arrays["a"] + 1e-12, "b": arrays["b"]}) != name
    assert digest({"a": np.asfortranarray(arrays["a"]), "b": arrays["b"]}) == name


def test_a_seal_changes_with_any_value_name_type_or_shape() -> None:
    about, arrays = {"b": [1, 0.1, None, "é"], "a": {"c": True}}, {"x": np.arange(6.0), "y": np.array(1)}
    whole = seal(about, arrays)
    assert whole == seal({"a": {"c": True}, "b": (1, 0.1, None, "é")}, dict(reversed(arrays.items())))
    assert whole == seal(json.loads(json.dumps(about)), {**arrays, "x": np.arange(6.0).astype(">f8")})
    others = [
        seal({**about, "a": {"c": False}}, arrays),
        seal({**about, "d": None}, arrays),
        seal(about, {**arrays, "x": np.arange(6.0).reshape(2, 3)}),
        seal(about, {**arrays, "x": np.arange(6.0).astype(np.float32)}),
        seal(about, {"x": arrays["x"]}),
        seal(about, {"x": arrays["x"], "z": arrays["y"]}),
        seal(about, {**arrays, "x": np.array([0.0, 1, 2, 3, 4, np.nextafter(5, 6)])}),
    ]
    assert len({whole, *others}) == 8


def test_a_seal_is_the_same_for_ever() -> None:
    arrays = {"x": np.arange(3, dtype="<f4"), "empty": np.zeros((0, 2), dtype="<f2")}
    assert seal({"a": 0.1, "b": ["é", None]}, arrays) == "bf627b80a3afbdd0d6780647b6555c21"
