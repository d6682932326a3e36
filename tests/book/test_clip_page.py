"""The page of a clip in a browser: it plays, a click seeks, and nothing is fetched."""

import time
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from avvp.clip_page import clip_page
from avvp.events import LABELS
from avvp.prediction import Found, ParsedClip


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Ten seconds of a picture that grows brighter."""
    path = tmp_path_factory.mktemp("clip") / "ten seconds.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(80):
            image = np.full((48, 64, 3), 3 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def page_file(video):
    on = torch.zeros(25, 10).bool()
    on[LABELS.index("Dog"), 4:7] = True
    events = (Found("audio", "Dog", 4, 7, 0.8), Found("visual", "Dog", 0, 10, 0.9))
    path = video.with_suffix(".html")
    path.write_text(clip_page(ParsedClip(video.name, events, on, on), video, about="by a test"))
    return path


def wait_until(page, condition: str) -> None:
    """As the browser's own waiting does, which the page's security policy may refuse."""
    deadline = time.monotonic() + 120
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"still not: {condition}"
        page.wait_for_timeout(20)


@pytest.mark.parametrize("width", [400, 1200])
def test_a_click_on_an_event_seeks_to_it(browser, page_file, width):
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.set_default_timeout(120_000)
    asked = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    wait_until(page, "document.getElementById('clip').readyState >= 2")
    assert page.evaluate("document.getElementById('clip').duration") == pytest.approx(10, abs=0.3)
    page.get_by_label("Dog, heard, second 4 to 7").click()
    wait_until(page, "document.getElementById('clip').currentTime >= 4")
    assert page.evaluate("document.getElementById('clip').currentTime") < 8
    wait_until(page, "!document.getElementById('now').hidden")
    page.evaluate("document.getElementById('clip').pause()")
    page.get_by_label("Dog, seen, second 0 to 10").press("Enter")  # the keyboard does it too
    wait_until(page, "document.getElementById('clip').currentTime < 4")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    context.close()


def test_the_line_is_where_the_clip_is(browser, page_file):
    page = browser.new_page(viewport={"width": 900, "height": 800})
    page.set_default_timeout(120_000)
    page.goto(page_file.as_uri())
    wait_until(page, "document.getElementById('clip').readyState >= 2")
    page.evaluate("document.getElementById('clip').currentTime = 5")
    wait_until(page, "!document.getElementById('now').hidden")
    line = page.locator("#now").bounding_box()
    track = page.locator(".ticks").bounding_box()
    middle = track["x"] + track["width"] / 2
    assert line["x"] == pytest.approx(middle, abs=3)
    page.close()
