"""Tables: aligned lines for a terminal, and the same cells for a notebook."""

import html
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines, the header first.

    >>> table(("video", "cosine"), [("a", "0.91"), ("b/two", "0.88")])
    ['video  cosine', 'a      0.91', 'b/two  0.88']
    """
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return [line.rstrip() for line in lines]


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, pictures: Sequence[str] = (), below: Sequence[str] = ()
) -> str:
    """Return the table in HTML, with a picture (its address) before each row where there are any, and lines below.

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
