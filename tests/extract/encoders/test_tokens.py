"""Tokens: what is cut is found whatever the tokenizer, and words that were never learned are known."""

import json
from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor

from framebank.extract.encoders.encoder import Encoder
from framebank.extract.encoders.tokens import TextReader, token_table
from framebank.store.errors import DataWarning
from framebank.tests.places import DATA

LONG = DATA / "reports" / "two_long_descriptions.json"


class Words:
    """A tokenizer of the package transformers in small: a token for each word, in one of the usual layouts."""

    def __init__(self, *, start: list[int], end: list[int], padding: int, last: list[int] | None = None) -> None:
        self.start, self.end, self.padding, self.last = start, end, padding, last or []

    def __call__(self, texts: list[str], context_length: int | None = None) -> Tensor:
        length = (context_length or 8) - len(self.last)
        room = length - len(self.start) - len(self.end)
        rows = []
        for text in texts:
            own = [*self.start, *(10 + len(word) for word in text.split()[:room]), *self.end]
            rows.append([*own, *[self.padding] * (length - len(own)), *self.last])
        return torch.tensor(rows)


LAYOUTS: dict[str, Callable[..., Tensor]] = {
    "clip": open_clip.SimpleTokenizer(context_length=8),
    "clip of transformers": Words(start=[98], end=[99], padding=99),
    "t5": Words(start=[], end=[1], padding=0),
    "siglip": Words(start=[], end=[1], padding=1),
    "stripped": Words(start=[98], end=[0], padding=0),
    "class token": Words(start=[98], end=[99], padding=0, last=[101]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_first_word_that_has_no_room_is_what_is_lost(layout: str) -> None:
    reader = TextReader(LAYOUTS[layout], model="small")
    assert reader.length == 8
    own = {"t5": 1, "siglip": 1, "class token": 3}.get(layout, 2)
    texts = ["", "dog", *(" ".join(["dog"] * count) for count in (7 - own, 8 - own, 9 - own)), " ".join(["dog"] * 30)]
    assert reader.find_cut(texts).tolist() == [False, False, False, False, True, True]
    cut = reader.describe_cut(texts[-1])
    assert cut.num_tokens == 30 + own
    assert len(cut.unread.split()) == 30 - (8 - own)


def test_lengths_are_those_before_the_cut() -> None:
    reader = TextReader(LAYOUTS["clip"], model="small")
    assert [reader.measure(" ".join(["dog"] * count)) for count in (0, 1, 6, 7, 40)] == [2, 3, 8, 9, 42]
    assert reader.describe_cut("x" * 90).unread  # a single long word


def test_exclamation_marks_are_no_padding() -> None:
    reader = TextReader(LAYOUTS["clip"], model="small")
    assert reader.find_cut(["wow !" * 2, "wow ! ! ! ! ! ! !"]).tolist() == [False, True]


def test_a_handful_of_cut_texts_is_told() -> None:
    reader = TextReader(LAYOUTS["clip"], model="small")
    texts = [f"dog {' '.join('abcdefghijklmnopqrstuvwxyz'[place:])}" for place in range(15)]
    with pytest.warns(DataWarning) as caught:
        reader.warn_of_cut([*texts, *texts, "dog"])
    (warning,) = caught
    first, *shown, last = str(warning.message).splitlines()
    assert first == "15 texts are cut: small reads 8 tokens of a text, start and end included"
    assert shown[0].strip() == (
        '"dog a b c d e f g h i j k l m n o p q r s t u v w x y z" has 29; '
        'it does not read "f g h i j k l m n o p q r s t u v w x y z"'
    )
    assert len(shown) == 5
    assert last.strip() == "and 10 more"


def test_a_text_that_fits_is_not_told(recwarn: pytest.WarningsRecorder) -> None:
    TextReader(LAYOUTS["clip"], model="small").warn_of_cut(["a b c d e f", ""])
    assert not recwarn.list


@pytest.fixture(scope="module")
def demo() -> Encoder:
    return Encoder("demo", device="cpu", precision="fp32")


def test_the_demo_says_which_words_it_never_saw(demo: Encoder) -> None:
    words = ["archery", "a person sitting down", "Punching, and drinking", "sitting jugglingly"]
    assert demo.reader.unknown_words(words) == ["archery", "Punching", "jugglingly"]
    with pytest.warns(DataWarning, match="words of its own world: 'archery' is unknown to it"):
        demo.encode_texts(["a person doing archery"], phrases=["archery"])


def test_tokens_that_share_a_row_were_never_learned() -> None:
    table = torch.randn(49408, 6, generator=torch.Generator().manual_seed(0))
    reader = TextReader(LAYOUTS["clip"], model="small", table=table)
    assert reader.unknown_words(["dog cat horse"]) == []
    tokenizer = open_clip.SimpleTokenizer()
    (dog,), (cat,), (horse,) = (tokenizer.encode(word) for word in ("dog", "cat", "horse"))
    table = table.clone()
    table[cat] = table[dog]
    table[horse, :2] = table[dog, :2]  # alike in its first values alone
    reader = TextReader(LAYOUTS["clip"], model="small", table=table)
    assert reader.unknown_words(["dog cat horse"]) == ["dog", "cat"]


def test_a_network_of_random_weights_knows_all_words() -> None:
    encoder = Encoder("RN50", "none", device="cpu", precision="fp32")
    assert token_table(encoder._network) is not None
    assert encoder.reader.unknown_words(["archery by a quokka"]) == []


def test_the_encoder_tells_of_cut_texts(demo: Encoder, recwarn: Any) -> None:
    demo.encode_texts(["drinking"])
    assert not recwarn.list
    with pytest.warns(DataWarning, match="1 text is cut: demo reads 32 tokens"):
        demo.encode_texts([" ".join(["red"] * 31)])


@pytest.mark.skipif(not LONG.is_file(), reason="the reports are not here")
def test_the_report_of_two_long_descriptions(demo: Encoder) -> None:
    texts = [one for (one,) in json.loads(LONG.read_text()).values()]
    assert demo.reader.find_cut(texts).tolist() == [True, True]
    assert [demo.reader.measure(text) for text in texts] == [42, 40]
    tokens = demo.reader.read(texts)
    assert torch.equal(tokens[0], tokens[1])
