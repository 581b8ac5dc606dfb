import numpy as np
import pytest

from framebank.extract.prompts import ACTIONCLIP, TEMPLATES, embed_prompts, read_templates
from framebank.store import DataError, LabelSet
from framebank.tests.worlds.store import DIM, FakeEncoder

DESCRIBED = LabelSet(("PlayPiano", "sit"), {"PlayPiano": ("keys {are} pressed", "hands move"), "sit": ("a chair",)})


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_set_has_one_place_for_the_class(name):
    assert all(template.count("{}") == 1 for template in read_templates(name))


@pytest.mark.parametrize(
    ("name", "count", "samples"),
    [
        ("actionclip", 16, {0: "a photo of action {}", 15: "The woman is {}"}),
        ("bare", 1, {0: "{}"}),
        (
            "clip-kinetics",
            28,
            {
                0: "a photo of {}.",
                1: "a photo of a person {}.",
                2: "a photo of a person using {}.",
                6: "a photo of a person practicing {}.",
                7: "a video of {}.",
                17: "a example of a person doing {}.",
                25: "a demonstration of a person during {}.",
                26: "a demonstration of a person performing {}.",
                27: "a demonstration of a person practicing {}.",
            },
        ),
        (
            "clip-ucf101",
            48,
            {
                0: "a photo of a person {}.",
                1: "a video of a person {}.",
                6: "a example of the person {}.",
                8: "a photo of a person using {}.",
                23: "a demonstration of the person doing {}.",
                24: "a photo of a person during {}.",
                36: "a photo of the person performing {}.",
                47: "a demonstration of the person practicing {}.",
            },
        ),
    ],
)
def test_a_set_is_the_published_one(name, count, samples):
    templates = read_templates(name)
    assert len(set(templates)) == len(templates) == count
    assert {place: templates[place] for place in samples} == samples


def test_template_file(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeffa {}\r\n\n {} now {x}\n".encode())
    assert read_templates(str(path)) == ("a {}", "{} now {x}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "holds no template; expected one for each line, with {} where the class goes"),
        (b"a {}\nb\n", "the template 'b' does not hold {} once"),
        (b"{} and {}\n", "the template '{} and {}' does not hold {} once"),
        (b"\xff {}\n", "cannot be read as a template file"),
    ],
)
def test_bad_template_file(tmp_path, content, message):
    path = tmp_path / "t.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_templates(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_no_such_templates(tmp_path):
    for name in ("none", str(tmp_path)):
        with pytest.raises(
            DataError, match=r"is neither a template set \(actionclip, clip-kinetics, clip-ucf101, bare\)"
        ):
            read_templates(name)


def test_names_are_put_in_words_into_every_template():
    bank = embed_prompts(LabelSet(("PlayPiano", "sit")), FakeEncoder())
    assert bank.texts == tuple(t.replace("{}", name) for name in ("play piano", "sit") for t in ACTIONCLIP)
    assert bank.end.tolist() == [16, 32]
    assert (bank.kind, bank.logit_scale) == ("names", 100.0)
    rows = unit(FakeEncoder().encode_texts(bank.texts))
    np.testing.assert_allclose(bank.class_embeddings()[1], unit(rows[16:].mean(0)), atol=1e-6)
    np.testing.assert_allclose(bank.per_template()[:, 1], rows[16:], atol=1e-6)


@pytest.mark.parametrize("templates", [("{}",), ("a {}", "{} b {c}")])
def test_ragged_descriptions_equal_loops(templates):
    encoder = FakeEncoder()
    bank = embed_prompts(DESCRIBED, encoder, templates=templates, kind="descriptions")
    assert bank.per_template().shape == (len(templates), 2, DIM)
    for c, name in enumerate(DESCRIBED.names):
        phrases = DESCRIBED.descriptions[name]
        per = [unit(encoder.encode_texts([t.replace("{}", phrase) for phrase in phrases])) for t in templates]
        for t, rows in enumerate(per):
            np.testing.assert_allclose(bank.per_template()[t, c], unit(rows.mean(0)), atol=1e-6)
        np.testing.assert_allclose(bank.class_embeddings()[c], unit(np.concatenate(per).mean(0)), atol=1e-6)


def test_a_class_without_description():
    labels = LabelSet(("walk", "sit"), {"walk": ("a",), "sit": ()})
    with pytest.raises(DataError, match="the class 'sit' has no description"):
        embed_prompts(labels, FakeEncoder(), kind="descriptions")
    with pytest.raises(ValueError, match="kind 'both'"):
        embed_prompts(labels, FakeEncoder(), kind="both")
