"""Pieces of HTML that every section uses: tables, tiles, figures; all text is escaped here."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NewType

Markup = NewType("Markup", str)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: text, its class, and a share from 0 to 1 that tints it."""

    text: str
    style: str = ""
    tint: float | None = None


Row = Sequence[Cell | str]


def table(head: Sequence[str], rows: Iterable[Row], *, style: str = "") -> Markup:
    """Write a table whose first column is text and whose others are numbers, aligned right."""
    top = "".join(f"<th{_kind(number)}>{html.escape(text)}</th>" for number, text in enumerate(head))
    body = "".join("<tr>" + "".join(_cell(cell, number) for number, cell in enumerate(row)) + "</tr>" for row in rows)
    return Markup(
        f'<div class="wide"><table class="{style}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def section(title: str, *parts: str, note: str = "") -> Markup:
    """Write a section with its heading and an optional note under it."""
    soft = f'<p class="soft">{html.escape(note)}</p>' if note else ""
    return Markup(f"<section><h2>{html.escape(title)}</h2>{soft}{''.join(parts)}</section>")


def figure(caption: str, drawing: str, *, legend: Sequence[tuple[str, str]] = ()) -> Markup:
    """Write a picture with its caption and a legend of (class, name)."""
    keys = "".join(f'<span class="key {style}">{html.escape(name)}</span>' for style, name in legend)
    return Markup(f"<figure><figcaption>{html.escape(caption)}{keys}</figcaption>{drawing}</figure>")


def tiles(shown: Iterable[tuple[str, str, str]]) -> Markup:
    """Write tiles of (value, name, small print)."""
    body = "".join(
        f"<div class='tile'><span>{html.escape(name)}</span><b>{html.escape(value)}</b>"
        f"<small>{html.escape(small)}</small></div>"
        for value, name, small in shown
    )
    return Markup(f"<div class='tiles'>{body}</div>")


def note(text: str) -> Markup:
    """Write a remark in small print."""
    return Markup(f'<p class="soft">{html.escape(text)}</p>')


def _cell(cell: Cell | str, number: int) -> str:
    if isinstance(cell, str):
        return f"<td{_kind(number)}>{html.escape(cell)}</td>"
    classes = " ".join(part for part in ("n" if number else "", cell.style) if part)
    tint = f' style="--w:{cell.tint * 100:.0f}%"' if cell.tint is not None else ""
    return f'<td class="{classes}"{tint}>{html.escape(cell.text)}</td>'


def _kind(number: int) -> str:
    return ' class="n"' if number else ""
