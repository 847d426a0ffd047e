"""The page: one HTML file for people. Every number on it is in the content; nothing is fetched and nothing runs."""

import html
from collections.abc import Iterable, Mapping
from importlib import resources

from tradeplane_engine.report import content, pictures, sections, wording

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write(found: content.Content) -> str:
    """Return the report as HTML.

    The page forbids every request and script to the browser itself, so that a report may be opened from anywhere.
    """
    span = "no samples"
    if found.first is not None and found.last is not None:
        span = f"{wording.day(found.first)} to {wording.day(found.last)} · {found.samples:,} periods"
    if found.benchmark:
        span += f" · against {found.benchmark}"
    parts = (
        sections.headline(found),
        pictures.growth(found),
        sections.monthly(found),
        pictures.moving(found),
        pictures.held(found),
        pictures.trades(found),
        sections.costs(found),
        sections.evidence(found),
        sections.breakdown(found),
        sections.measures(found),
        sections.conventions(found),
    )
    return whole(found.title, span, found.facts, parts)


def whole(title: str, span: str, facts: Mapping[str, str], parts: Iterable[str]) -> str:
    """Return a page of this look.

    Parameters
    ----------
    title, span : heading and the line under it
    facts : short lines under that, by name
    parts : markup of the sections
    """
    style = resources.files(__package__).joinpath("report.css").read_text()
    shown = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in sorted(facts.items()))
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{html.escape(title)}</title><style>{style}</style></head><body>",
            f"<header><h1>{html.escape(title)}</h1><p class='soft'>{html.escape(span)}</p>",
            f"<dl>{shown}</dl></header>" if facts else "</header>",
            *parts,
            "</body></html>",
            "",
        )
    )
