"""Links between documents, and citations of documents in the source, lead to an existing heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from meta.source import REPOSITORY

FOLDERS = ("src", "tests", "packages", "benchmarks", "examples", "scripts", "docs", "proto")
SKIPPED = {"node_modules", "__pycache__", "outrider_api"}
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
# `docs/contract.md#matching` in a comment or docstring, from the root of the repository.
_CITATION = re.compile(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?")
_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Return the anchors of a page, as GitHub makes them of its headings."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    headings = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in _HEADING.findall(text))
    slugs = (re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings)
    return frozenset(slugs) | frozenset(_ANCHOR.findall(text))


def is_broken(link: str, folder: Path) -> bool:
    """Return whether a relative link leads nowhere. `folder` is where it starts."""
    path, _, anchor = link.partition("#")
    page = folder / path
    if not page.exists():
        return True
    return bool(anchor) and page.suffix == ".md" and anchor not in anchors_of(page)


def documents() -> Iterator[Path]:
    """Yield every Markdown file of the repository."""
    yield from sorted(REPOSITORY.glob("*.md"))
    for path in sources():
        if path.suffix == ".md":
            yield path


def sources() -> Iterator[Path]:
    """Yield every source and document, without generated and installed files."""
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in {".py", ".md", ".proto"} and not SKIPPED & set(path.parts):
                yield path


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    links = (link for link in _LINK.findall(text) if "://" not in link)
    return [
        link
        for link in links
        if is_broken(f"{page.name}{link}" if link.startswith("#") else link, page.parent)
    ]


def test_links_between_documents_lead_to_a_heading():
    """
    A reader who follows a link must not have to search.
    """
    pages = list(documents())
    broken = [
        f"{page.relative_to(REPOSITORY)}: {link}" for page in pages for link in broken_links(page)
    ]

    assert [] == broken
    assert len(pages) > 20


def test_citations_in_the_source_lead_to_a_heading():
    """
    A docstring that cites a document names a page and a heading of this repository.
    """
    cited = [
        (path, citation)
        for path in sources()
        if path.suffix != ".md" and path != Path(__file__)
        for citation in _CITATION.findall(path.read_text("utf-8"))
    ]
    broken = [
        f"{path.relative_to(REPOSITORY)}: {citation}"
        for path, citation in cited
        if is_broken(citation, REPOSITORY)
    ]

    assert [] == broken
    assert len(cited) > 10


@pytest.mark.parametrize("link", ["docs/none.md", "docs/contract.md#none", "none.py"])
def test_a_link_that_leads_nowhere_is_found(link):
    """
    A rule whose check cannot fail is a wish.
    """
    assert is_broken(link, REPOSITORY)


@pytest.mark.parametrize(
    "link", ["docs/contract.md#deliberate-differences", "docs/adr", "README.md"]
)
def test_a_link_that_leads_somewhere_is_fine(link):
    """
    Pages, folders and headings.
    """
    assert not is_broken(link, REPOSITORY)
