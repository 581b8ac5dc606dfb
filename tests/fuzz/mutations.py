"""Mutations: one content becomes another, as a bad disk, a bad copy or a bad hand would have it; a seed says which."""

import random
import re
from collections.abc import Callable

# What a hand, or somebody who means harm, writes in the place of a number or a word.
WORDS = (
    b"1e308", b"-1", b"0", b"NaN", b"Infinity", b"-Infinity", b"1" * 5000, b"1000000000000", b"null", b"true", b"[]",
    b"{}", b'""', b'"x"', b"\x00", b"\xff\xfe", b"\\ud800", b'"\\ud800"', b"[" * 5000, b'{"a":' * 5000, b"../../x",
    b"/etc/passwd", b"a" * 300, b'"' + b"a" * 140_000 + b'"', b"\r", b'"', b",,,", b";", b"\t",
)  # fmt: skip


def flip_bit(content: bytes, rng: random.Random) -> bytes:
    """Change one bit."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def flip_bits(content: bytes, rng: random.Random) -> bytes:
    """Change one bit in up to thirty places."""
    for _ in range(rng.randrange(2, 30)):
        content = flip_bit(content, rng)
    return content


def overwrite(content: bytes, rng: random.Random) -> bytes:
    """Put one and the same byte, or noise, over a run."""
    start, length = _run(content, rng)
    filler = rng.choice([b"\x00" * length, b"\xff" * length, rng.randbytes(length)])
    return content[:start] + filler + content[start + length :]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Lose the end."""
    return content[: rng.randrange(len(content))]


def remove(content: bytes, rng: random.Random) -> bytes:
    """Lose a run in the middle."""
    start, length = _run(content, rng)
    return content[:start] + content[start + length :]


def repeat(content: bytes, rng: random.Random) -> bytes:
    """Have a run twice."""
    start, length = _run(content, rng)
    return content[: start + length] + content[start:]


def insert(content: bytes, rng: random.Random) -> bytes:
    """Have noise between two bytes."""
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.randrange(1, 200)) + content[place:]


def swap(content: bytes, rng: random.Random) -> bytes:
    """Put a run over another one of its length."""
    start, length = _run(content, rng)
    place = rng.randrange(len(content) - length + 1)
    return content[:place] + content[start : start + length] + content[place + length :]


def write_large(content: bytes, rng: random.Random) -> bytes:
    """Put a large number, of four or eight bytes, anywhere: a size, a count, an offset."""
    number = rng.choice([0x7FFFFFFF, 0xFFFFFFFF, 1_000_000_000, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
    size = 4 if number < 1 << 32 and rng.random() < 0.5 else 8
    place = rng.randrange(max(1, len(content) - size))
    return content[:place] + number.to_bytes(size, "little") + content[place + size :]


def write_word(content: bytes, rng: random.Random) -> bytes:
    """Put another word in the place of a number or a quoted word; anywhere, where there is none."""
    places = [match.span() for match in re.finditer(rb'-?\d+(\.\d+)?|"[^"\n]{0,80}"|\b[a-z_]{2,}\b', content)]
    start, end = rng.choice(places) if places else (rng.randrange(len(content)),) * 2
    return content[:start] + rng.choice(WORDS) + content[end:]


def drop_line(content: bytes, rng: random.Random) -> bytes:
    """Lose a line, or have it twice."""
    lines = content.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    lines[place : place + 1] = rng.choice([[], [lines[place]] * 2])
    return b"".join(lines)


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "one bit": flip_bit,
    "bits": flip_bits,
    "overwritten": overwrite,
    "cut": cut,
    "a part lost": remove,
    "a part twice": repeat,
    "noise between": insert,
    "a part over another": swap,
    "a large number": write_large,
    "a word": write_word,
    "a line": drop_line,
}


def mutate(content: bytes, seed: str) -> tuple[str, bytes]:
    """Return the name of the mutation that a seed draws, and another content than the one given."""
    rng = random.Random(seed)
    while True:
        name = rng.choice(list(MUTATIONS))
        changed = MUTATIONS[name](content, rng)
        if changed != content:
            return name, changed


def _run(content: bytes, rng: random.Random) -> tuple[int, int]:
    length = min(len(content), rng.choice([1, 2, 4, 8, 16, 100, 512, 4096]))
    return rng.randrange(len(content) - length + 1), length
