"""The rendered pages: complete, offline, legible on a telephone and in the dark."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from avvp.bookmaking import pages

# The first test that asks for a book waits until it is made.
pytestmark = pytest.mark.timeout(1800)

# From this width on, no table scrolls.
ROOMY = 1440
SIZES = [(1200, "light"), (400, "light"), (1200, "dark"), (ROOMY, "light")]


def patient(browser, **options):
    """A fresh window that bears with a busy machine."""
    context = browser.new_context(**options)
    context.set_default_timeout(120_000)
    return context


def test_every_page_of_the_contents_is_there(published_book):
    for page in pages(published_book.root):
        assert (published_book.html / f"{page}.html").is_file()
    front = (published_book.html / "index.html").read_text("utf-8")
    assert pages(published_book.root)[0] in front


def test_no_internal_link_or_picture_is_broken(published_book):
    html = published_book.html.resolve()
    soups = {
        path: BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in html.rglob("*.html")
        if "_static" not in path.parts  # templates of the theme, no pages
    }
    anchors = {path: {tag["id"] for tag in soup.find_all(id=True)} for path, soup in soups.items()}
    broken, checked = [], 0
    for path, soup in soups.items():
        for tag in soup.find_all(["a", "img", "link", "script"]):
            address = tag.get("href") or tag.get("src")
            if not address or urlsplit(address).scheme or address.startswith("//"):
                continue
            checked += 1
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            fragment = unquote(parts.fragment)
            if not target.is_file() or (
                fragment and target in anchors and fragment not in anchors[target]
            ):
                broken.append(f"{path.relative_to(html)}: {address}")
    assert checked > 100
    assert not broken


def test_every_picture_says_what_it_shows(published_book):
    for page in pages(published_book.root):
        soup = BeautifulSoup(
            (published_book.html / f"{page}.html").read_text("utf-8"), "html.parser"
        )
        for picture in soup.select("article img"):
            assert picture.get("alt", "").strip(), f"{page}: {picture['src']} has no alt text"
            figure = picture.find_parent("figure")
            assert figure and figure.find("figcaption"), f"{page}: {picture['src']} has no caption"


def test_numbers_stay_with_their_units_and_scores_are_no_addresses(published_book):
    """A blank before a unit does not break; "Type@AV" is not somebody's e-mail."""
    told, apart, addresses = 0, [], []
    for path in (published_book.html / "book").rglob("*.html"):
        article = BeautifulSoup(path.read_text("utf-8"), "html.parser").find("article")
        addresses += [f"{path.name}: {a['href']}" for a in article.select("a[href^=mailto]")]
        for code in article.find_all(["pre", "code", "script"]):
            code.decompose()
        text = article.get_text()
        told += len(re.findall(r"\d\xa0%", text))
        apart += [f"{path.name}: {found}" for found in re.findall(r".{20}\d %", text)]
    assert told > 100
    assert not apart
    assert not addresses


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_pages_in_a_browser(published_book, site, browser, width, scheme):
    context = patient(
        browser, viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en"
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(f"says {m.text}"))
    page.on("pageerror", lambda error: wrong.append(f"raises {error}"))
    # Chromium gives up the icon of the page before when it goes on to the next. What is not there
    # fails in another way: with a status.
    page.on(
        "requestfailed",
        lambda request: (
            (request.failure == "net::ERR_ABORTED" and request.url.endswith("/favicon.svg"))
            or wrong.append(f"failed to get {request.url}: {request.failure}")
        ),
    )
    page.on("response", lambda r: r.status >= 400 and wrong.append(f"{r.status} for {r.url}"))
    page.on(
        "request",
        lambda r: r.url.startswith((site, "data:")) or wrong.append(f"asks for {r.url}"),
    )
    formulas = 0
    try:
        for name in pages(published_book.root):
            wrong.clear()
            page.goto(f"{site}/{name}.html", wait_until="load")
            if page.locator(".math").count():
                page.wait_for_function("window.MathJax?.startup?.promise")
                page.evaluate("MathJax.startup.promise")
            found = page.evaluate(
                """() => ({
                    theme: document.documentElement.dataset.theme,
                    overflow: document.documentElement.scrollWidth - innerWidth,
                    formulas: document.querySelectorAll(".math").length,
                    scrolling: [...document.querySelectorAll("article .cell_output table")]
                        .filter(t => t.scrollWidth > t.parentElement.clientWidth + 1)
                        .map(t => t.innerText.slice(0, 60)),
                    drawn: document.querySelectorAll("mjx-container > svg").length,
                    misread: document.querySelectorAll("[data-mml-node=merror]").length,
                    empty: [...document.querySelectorAll("article img")]
                        .filter(i => !(i.complete && i.naturalWidth)).map(i => i.src),
                })"""
            )
            assert not wrong, f"{name}: {wrong}"
            assert found["theme"] == scheme, name
            assert found["overflow"] <= 0, f"{name} is wider than a window of {width} pixels"
            if width >= ROOMY:
                assert not found["scrolling"], f"{name}: tables scroll: {found['scrolling']}"
            assert found["drawn"] >= found["formulas"], f"{name}: formulas were not drawn"
            assert not found["misread"], f"{name}: MathJax could not read a formula"
            assert not found["empty"], f"{name}: pictures did not load: {found['empty']}"
            formulas += found["drawn"]
    finally:
        context.close()
    assert formulas, "no page has a formula, so nothing was learnt about MathJax"


def test_pages_open_from_the_disk(published_book, browser):
    context = patient(browser)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: m.type == "error" and wrong.append(m.text))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
    page.goto((published_book.html / "index.html").as_uri())
    page.wait_for_url(f"**/{pages(published_book.root)[0]}.html")
    page.wait_for_load_state()
    assert page.locator("h1").count()
    assert not wrong
    context.close()


def test_search_finds_a_chapter(published_book, site, browser):
    context = patient(browser)
    page = context.new_page()
    page.goto(f"{site}/search.html?q=segment")
    page.wait_for_selector("ul.search li a")
    assert page.locator("ul.search li a").count() >= 2
    context.close()
