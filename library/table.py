"""Tables: the same cells as aligned lines for a terminal, as Markdown, as CSV, or as HTML for a notebook."""

import csv
import html
import io
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, align: str = "") -> list[str]:
    """Return aligned lines, the header first. `align` has an "l" or "r" for each column; a missing one means left.

    >>> table(("video", "cosine"), [("a", "0.91"), ("b/two", "0.88")])
    ['video  cosine', 'a      0.91', 'b/two  0.88']
    >>> table(("video", "frames"), [("a", "8"), ("b/two", "16")], align="lr")
    ['video  frames', 'a           8', 'b/two      16']
    """
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(header))]
    sides = align or "l" * len(header)
    return ["  ".join(map(_padded, row, widths, sides)).rstrip() for row in lines]


def printable(text: str) -> str:
    r"""Return a text as a terminal can show it on one line: other letters are escaped.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'
    """
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _padded(cell: str, width: int, side: str) -> str:
    return cell.rjust(width) if side == "r" else cell.ljust(width)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown.

    >>> markdown_table(("video", "cosine"), [("a|b", "0.91")])
    ['| video | cosine |', '|---|---|', '| a\\\\|b | 0.91 |']
    """
    cells = ([printable(cell).replace("|", "\\|") for cell in row] for row in (header, *rows))
    first, *others = (f"| {' | '.join(row)} |" for row in cells)
    return [first, f"|{'---|' * len(header)}", *others]


def csv_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table as CSV. None becomes an empty cell.

    >>> csv_table(("video", "cosine"), [("a,b", 0.91), ("c", None)])
    'video,cosine\n"a,b",0.91\nc,\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, pictures: Sequence[str] = (), below: Sequence[str] = ()
) -> str:
    """Return the table in HTML, with a picture (its address) before each row if there are any, and lines below.

    >>> html_table(("a",), [("1 < 2",)])
    '<table><tr><th>a</th></tr><tr><td>1 &lt; 2</td></tr></table>'
    """
    head = ["", *header] if pictures else list(header)
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    for number, row in enumerate(rows):
        cells = [f"<td>{html.escape(cell)}</td>" for cell in row]
        picture = pictures[number] if pictures else ""
        image = f'<img src="{html.escape(picture)}" height="72" alt="">' if picture else ""
        lines.append("".join([*[f"<td>{image}</td>"] * bool(pictures), *cells]))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>{html_lines(below)}"


def html_lines(lines: Sequence[str]) -> str:
    """Return lines in HTML, one below the other.

    >>> html_lines(["1 < 2"])
    '<div>1 &lt; 2</div>'
    """
    return "".join(f"<div>{html.escape(line)}</div>" for line in lines if line)


def percent(fraction: float) -> str:
    """Return a fraction as a percentage.

    >>> percent(0.9312)
    '93.1 %'
    """
    return f"{100 * fraction:.1f} %"


def duration(seconds: float) -> str:
    """Return a time in seconds, or in milliseconds if it is short.

    >>> duration(12.34), duration(0.0123)
    ('12.3 s', '12 ms')
    """
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"
