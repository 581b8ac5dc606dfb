"""Tokens: what a text tower reads in a text, what it cuts off, and which words it never learned."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from framebank.store.counts import counted, listed
from framebank.store.errors import warn

NUM_SHOWN = 5  # of the texts that are cut
NUM_WORDS = 12  # of the words that are unknown
MARGIN = 16  # tokens beyond a tower's length, by which a longer text shows
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


class Tokenizer(Protocol):
    """A tokenizer of open_clip: sentences become (N, L) tokens, cut and padded to `context_length`, or its own."""

    def __call__(self, texts: list[str], context_length: int | None = None) -> Tensor:
        """Return the tokens of sentences (N, L)."""
        ...


def in_turn(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer that reads for one thread at a time.

    Those of transformers keep the length of a call in themselves, and cut the texts of another thread by it.
    """
    lock = threading.Lock()

    def read(texts: list[str], context_length: int | None = None) -> Tensor:
        with lock:
            return tokenizer(texts, context_length)

    return read


@dataclass(frozen=True)
class CutText:
    """A text that is longer than the tower reads: its number of tokens, start and end included, and what is lost."""

    text: str
    num_tokens: int
    unread: str


class TextReader:
    """Reads texts as the text tower of `model` does.

    `table` holds the tower's token embeddings (W, D), where it has one. Tokens that share a row of it cannot be told
    apart: no training ever moved them.
    """

    def __init__(self, tokenizer: Tokenizer, *, model: str, table: Tensor | None = None) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self._table = table

    @cached_property
    def length(self) -> int:
        """How many tokens the tower reads of a text, start and end included."""
        return len(self._blank)

    def read(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens (N, L) that the tower reads of texts, of which a long one is cut."""
        return self._tokenizer(list(texts))

    def find_cut(self, texts: Sequence[str]) -> np.ndarray:
        """Return which texts (N,) the tower does not read to their end."""
        short = self.read(texts)
        full = (short[:, -2:] != self._padding).any(1)  # a text with padding after it is complete
        cut = np.zeros(len(texts), dtype=bool)
        for place in full.nonzero().flatten().tolist():
            longer = self._tokenizer([texts[place]], self.length + MARGIN)[0]
            cut[place] = self._count(longer) > self._count(short[place])
        return cut

    def measure(self, text: str) -> int:
        """Return how many tokens a text has, start and end included, however few of them the tower reads."""
        short = self.read([text])[0]
        whole = self._tokenizer([text], self.length + len(text.encode()) + MARGIN)[0]
        if (more := self._count(whole) - self._count(short)) > 0:
            return self.length + more
        return self._count(short) + (self._count(self._blank) < 2)  # if the end token is the padding, it is not counted

    @staticmethod
    def words(text: str) -> list[str]:
        """Return the words of a text in their order, as `unknown_words` tells them apart."""
        return WORD.findall(text)

    def unknown_words(self, texts: Sequence[str]) -> list[str]:
        """Return the words of texts, each once, of which a token was never learned."""
        if not self._unlearned:
            return []
        special = set(self._blank.tolist())
        words = dict.fromkeys(word for text in texts for word in WORD.findall(text))
        return [word for word in words if (set(self.read([word])[0].tolist()) - special) & self._unlearned]

    def warn_of_cut(self, texts: Sequence[str]) -> None:
        """Warn about texts that the tower does not read to their end."""
        cut = list(dict.fromkeys(texts[place] for place in self.find_cut(texts).nonzero()[0].tolist()))
        if not cut:
            return
        # Texts of one class lie together, so that those shown are taken from all along the list.
        shown = [cut[place] for place in np.unique(np.linspace(0, len(cut) - 1, NUM_SHOWN).round().astype(int))]
        head = f"{counted(len(cut), 'text')} {'is' if len(cut) == 1 else 'are'} cut: {self._model} reads {self.length}"
        more = [f"and {len(cut) - len(shown)} more"] * (len(cut) > len(shown))
        warn("\n  ".join([f"{head} tokens of a text, start and end included", *self._tell(shown), *more]))

    def warn_of_unknown(self, texts: Sequence[str]) -> None:
        """Warn about words that the tower never learned."""
        words = self.unknown_words(texts)
        if words:
            shown = listed(map(repr, words), most=NUM_WORDS)
            whole = "is" if len(words) == 1 else "are"
            warn(
                f"the {self._model} model knows only the words of its own world: {shown} {whole} unknown to it; "
                "texts that differ by unknown words look alike"
            )

    def describe_cut(self, text: str) -> CutText:
        """Return how long a cut text is, and the part that is not read."""
        parts = text.split() if len(text.split()) > 1 else list(text)
        glue = " " if len(text.split()) > 1 else ""
        low, high = 0, len(parts)  # `low` of the parts are read, `high` are not
        while high - low > 1:
            middle = (low + high) // 2
            if self.find_cut([glue.join(parts[:middle])])[0]:
                high = middle
            else:
                low = middle
        return CutText(text, self.measure(text), glue.join(parts[low:]))

    def _tell(self, texts: Sequence[str]) -> Iterator[str]:
        for text in texts:
            cut = self.describe_cut(text)
            yield f'"{_start_of(text)}" has {cut.num_tokens}; it does not read "{_start_of(cut.unread)}"'

    @cached_property
    def _blank(self) -> Tensor:
        """The tokens (L,) of no text at all."""
        return self.read([""])[0]

    @cached_property
    def _padding(self) -> int:
        return int(self._tokenizer([""], self.length + MARGIN)[0].mode().values)

    def _count(self, tokens: Tensor) -> int:
        return int((tokens != self._padding).sum())

    @cached_property
    def _unlearned(self) -> set[int]:
        if self._table is None:
            return set()
        rows = np.ascontiguousarray(self._table.detach().float().cpu().numpy())
        _, inverse, counts = np.unique(rows[:, :2].copy().view(np.int64), return_inverse=True, return_counts=True)
        alike = (counts[inverse.ravel()] > 1).nonzero()[0]  # by two values, which is quick; now by all of them
        contents = [row.tobytes() for row in rows[alike]]
        times = Counter(contents)
        return {place for place, content in zip(alike.tolist(), contents, strict=True) if times[content] > 1}


def token_table(network: object) -> Tensor | None:
    """Return the token embeddings (W, D) of an open_clip network, or None where they lie elsewhere."""
    text = getattr(network, "text", network)
    table = getattr(text, "token_embedding", None)
    weight = getattr(table, "weight", None)
    return weight if isinstance(weight, torch.Tensor) else None


def _start_of(text: str, *, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[: length - 3].rstrip()}..."
