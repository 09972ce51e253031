"""The page of a server in a real browser: fill the fields, drop an image, read the answer and why it is so."""

import base64
import time

import pytest
from browser import FOUND, NAMES, browser
from tiny_serving import image_bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason=f"no browser on the PATH ({', '.join(NAMES)})"),
]

FILL = """(() => {
  for (const [name, value] of Object.entries(VALUES)) {
    const field = document.querySelector(`[data-column="${name}"]`);
    field.value = value;
    field.dispatchEvent(new Event("input"));
  }
  const bytes = Uint8Array.from(atob("IMAGE"), (sign) => sign.charCodeAt(0)), dropped = new DataTransfer();
  dropped.items.add(new File([bytes], "a.png", { type: "image/png" }));
  document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
})()"""
VALUES = '{"age": "300", "dose": "3.5", "city": "ulm", "note": "word1 of all", "smokes": "1", "story": "once", "words": "one two"}'
UNNAMED = """[...document.querySelectorAll("input, select, textarea, button, img, canvas, a")].filter((one) =>
  !(one.labels && one.labels.length) && !one.textContent.trim() && !one.getAttribute("alt") && !one.getAttribute("aria-label")).length"""


@pytest.fixture(scope="module")
def page(tmp_path_factory, served):
    with browser(tmp_path_factory.mktemp("browser")) as shown:
        yield shown


def until(page, expression):
    for _ in range(300):
        if page.value(expression):
            return
        time.sleep(0.1)
    raise AssertionError(f"never true: {expression}")


def opened(page, served, **options):
    page.open(f"http://127.0.0.1:{served.port}/", **options)
    until(page, "document.querySelectorAll('[data-column]').length === 7")


def test_a_row_is_filled_in_predicted_and_explained(page, served):
    opened(page, served)
    assert page.value("document.title") == "Predict y"
    assert page.value("document.querySelectorAll('[data-column=city] option').length") == 4
    page.value(FILL.replace("VALUES", VALUES).replace("IMAGE", base64.b64encode(image_bytes(90)).decode()))
    until(page, "Object.keys(pictures).length === 1")
    assert page.value("document.querySelector('input[type=file]').files[0].name") == "a.png"
    assert "In training 20 to 69. Needed. This value is outside." in page.value("document.body.innerText")
    page.value("document.getElementById('predict').click()")
    until(page, "document.querySelector('.big') !== null")
    text = page.value("document.getElementById('answer').innerText")
    assert text.startswith(("high", "low"))
    assert "With 90.0 % coverage: " in text
    assert "Calibrated probability" in text
    page.value("document.getElementById('explain').click()")
    until(page, "document.querySelector('#explanation table') !== null")
    assert page.value("document.querySelectorAll('#explanation tr').length") == 8
    assert page.value("document.querySelectorAll('#explanation canvas').length") == 1
    assert page.value(UNNAMED) == 0
    assert page.complaints == []
    addresses = {url for url in page.loaded if not url.startswith(("data:", "blob:"))}
    assert all(url.startswith(f"http://127.0.0.1:{served.port}/") for url in addresses)


def test_a_row_waits_for_an_image_that_is_still_being_read(page, served):
    opened(page, served)
    fill = FILL.replace("VALUES", VALUES).replace("IMAGE", base64.b64encode(image_bytes(90)).decode())
    page.value(f"{fill}; document.getElementById('predict').click()")
    until(page, "document.querySelector('.big, .error') !== null")
    assert "scan" not in page.value("document.getElementById('answer').innerText")


def test_an_answer_that_cannot_be_given_says_why(page, served):
    opened(page, served)
    page.value("document.getElementById('predict').click()")
    until(page, "document.querySelector('.error') !== null")
    assert page.value("document.querySelector('.error').textContent").startswith("No prediction: age: the cell is empty")
    assert page.value("document.getElementById('why').hidden")


def test_the_page_is_walked_with_the_keyboard(page, served):
    opened(page, served)
    walked = []
    for _ in range(10):
        page.press("Tab")
        walked.append(page.value("document.activeElement.dataset.column || document.activeElement.type"))
    assert walked == ["age", "dose", "city", "smokes", "note", "story", "words", "file", "submit", "reset"]
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways(page, served, scheme):
    opened(page, served, width=320, scheme=scheme)
    assert page.value("document.scrollingElement.scrollWidth") <= 320


def test_the_list_of_addresses_never_scrolls_sideways(page, served):
    page.open(f"http://127.0.0.1:{served.port}/docs", width=320)
    assert page.value("document.scrollingElement.scrollWidth") <= 320
