import math
from dataclasses import fields, replace

import numpy as np
import pytest

from framebank.store import DataError, FeatureSpec
from framebank.tests.worlds.store import SPEC


def test_round_trip():
    assert FeatureSpec.from_dict(SPEC.to_dict(), where="here") == SPEC


@pytest.mark.parametrize("name", [field.name for field in fields(SPEC) if field.name != "pretrained"])
def test_mismatch_names_the_field_and_both_values(name):
    value = getattr(SPEC, name)
    other = replace(SPEC, **{name: value + 1 if isinstance(value, int) else value + "x"})
    with pytest.raises(DataError) as error:
        SPEC.require_equal(other, mine="a", theirs="b")
    assert str(error.value) == (
        f"a was made with {name} {value!r}, b with {name} {getattr(other, name)!r}; they cannot be mixed"
    )


def test_a_moved_checkpoint_is_the_same_encoder():
    SPEC.require_equal(replace(SPEC, pretrained="/elsewhere/weights.pt"), mine="a", theirs="b")
    SPEC.require_same_encoder(replace(SPEC, sampling="", decoder=""), mine="a", theirs="b")
    with pytest.raises(DataError, match="weights_hash '0123456789abcdef', b with weights_hash 'ff'"):
        SPEC.require_same_encoder(replace(SPEC, weights_hash="ff"), mine="a", theirs="b")


def test_missing_field_other_schema_and_wrong_value():
    found = SPEC.to_dict()
    with pytest.raises(DataError, match=r"^x\.h5: no dim in its attributes"):
        FeatureSpec.from_dict({k: v for k, v in found.items() if k != "dim"}, where="x.h5")
    with pytest.raises(DataError, match="schema version 2, this framebank reads 1"):
        FeatureSpec.from_dict({"schema_version": 2, "renamed": 1}, where="x.h5")
    wrong = [
        ("dim", "wide", "expected a whole number from 1"),
        ("dim", 0, "expected a whole number from 1"),
        ("dim", math.inf, "expected a whole number from 1"),
        ("dim", None, "expected a whole number from 1"),
        ("dim", True, "expected a whole number from 1"),
        ("model", 3, "expected a text"),
        ("streams", ["frame"], "expected a text"),
        ("view", "\ud800", "expected a text in UTF-8"),
    ]
    for name, value, expected in wrong:
        with pytest.raises(DataError, match=rf"^x\.h5: {name} is .*; {expected}"):
            FeatureSpec.from_dict({**found, name: value}, where="x.h5")
    for wrong_whole in (None, [], "spec"):
        with pytest.raises(DataError, match=r"^x\.h5: is .*; expected what a framebank file says of its embeddings"):
            FeatureSpec.from_dict(wrong_whole, where="x.h5")


def test_attributes_of_other_programs_are_read():
    found = {**SPEC.to_dict(), "dim": np.array([4]), "model": np.bytes_(b"fake"), "schema_version": np.int32(1)}
    assert FeatureSpec.from_dict(found, where="here") == replace(SPEC, dim=4)


def test_encoder_in_words():
    assert SPEC.encoder == "fake/tag (0123456789ab)"
    assert "RANDOM WEIGHTS" in replace(SPEC, pretrained="").encoder


def test_a_spec_of_before_had_pixels_as_they_are_coded():
    found = {name: value for name, value in SPEC.to_dict().items() if name != "pixels"}
    assert FeatureSpec.from_dict(found, where="here").pixels == "coded"
    with pytest.raises(DataError, match="pixels 'coded', b with pixels 'square'; they cannot be mixed"):
        SPEC.require_equal(replace(SPEC, pixels="square"), mine="a", theirs="b")
