"""The app in a real browser: every tab, with the library's own numbers."""

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
import detectors
from browser import chromium, needs_axe, needs_browser, requested, serious
from convae_zoo.app.denoise import denoise_picture
from convae_zoo.app.detect import judge, score_picture
from convae_zoo.app.reconstruct import reconstruct_picture

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("gradio", reason="gradio is not installed")

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def opened(browser, server, hosts):
    """The app, loaded; afterwards no error is on the console, and no machine was asked for any."""
    browser.get(server.url)
    wait(browser, lambda: find(browser, "#picture input[type=file]"))
    yield browser
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []
    asked = requested(browser)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(server.url)] == []
    assert {h for h in hosts if h is not None} <= {"127.0.0.1", "localhost", b"127.0.0.1"}


def wait(browser, condition):
    ignored = (StaleElementReferenceException, IndexError)
    return WebDriverWait(browser, 60, 0.1, ignored).until(lambda _: condition())


def find(browser, selector):
    return [e for e in browser.find_elements(By.CSS_SELECTOR, selector) if usable(e)]


def usable(element):
    return element.is_displayed() or element.get_attribute("type") == "file"


def open_tab(browser, title):
    tabs = find(browser, "button[role=tab]")
    next(tab for tab in tabs if tab.text == title).click()
    wait(browser, lambda: find(browser, "button.primary")[0].text == title)


def upload(browser, selector, path):
    """Choose a file, in place of an earlier one."""
    for button in find(browser, f"{selector} button[aria-label=Clear]"):
        button.click()
    wait(browser, lambda: find(browser, f"{selector} input[type=file]"))[0].send_keys(str(path))
    wait(browser, lambda: find(browser, f"{selector} .file-preview"))


def press(browser):
    """Press the tab's button; return what is shown then, as text."""
    before = shown(browser)
    find(browser, "button.primary")[0].click()
    return wait(browser, lambda: (text := shown(browser)) != before and text)


def shown(browser):
    return "".join(e.text for e in find(browser, ".figures dl, .figures p"))


def as_text(result):
    return "\n".join(line for figure in result.figures for line in figure)


def choose_model(browser, name):
    (box,) = find(browser, "input[role=listbox], input[role=combobox]")
    box.click()

    def offered():
        options = find(browser, "[role=option]")
        return next((each for each in options if each.text.strip().endswith(name)), None)

    wait(browser, offered).click()


def pixels(browser, place):
    """The picture that the page shows, as the browser got it."""
    image = wait(browser, lambda: find(browser, ".image-frame img")[place])
    script = """
        const done = arguments[1], image = new Image();
        image.onload = () => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            done([canvas.height, canvas.width,
                  [...context.getImageData(0, 0, canvas.width, canvas.height).data]]);
        };
        image.src = arguments[0].src;
    """
    height, width, values = browser.execute_async_script(script, image)
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def test_a_photograph_is_reconstructed_as_by_the_library(opened, models, photo):
    upload(opened, "#picture", photo)
    model = models.models["plain"].model
    assert press(opened) == as_text(reconstruct_picture(model, photo))
    assert np.array_equal(pixels(opened, 1), zoo.reconstruct(model, [photo])[0])


def test_markup_of_a_plugin_stays_text(opened, models):
    name = next(name for name in models.models if name.startswith("dreams"))
    choose_model(opened, name)
    summary = models.models[name].summary
    wait(opened, lambda: find(opened, ".about p")[0].text == summary)
    assert opened.title == "convae_zoo"
    choose_model(opened, "plain")


def test_what_is_no_picture_or_too_large_is_one_line(opened, photo, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    Image.new("RGB", (200, 100)).save(tmp_path / "large.png")
    for name, message in (
        ("notes.png", "notes.png is not an image that can be read"),
        ("large.png", "large.png: its 200×100 pixels are more than the 10,000 allowed for PNG"),
    ):
        upload(opened, "#picture", tmp_path / name)
        line = press(opened)
        assert line.startswith(message)
        assert "\n" not in line
    upload(opened, "#picture", photo)


def test_a_picture_is_compressed_to_a_file(opened, photo):
    upload(opened, "#picture", photo)
    open_tab(opened, "Compress")
    text = press(opened)
    assert "Latent\n16 bytes\nPixels\n768 bytes\nRatio\n48.00" in text
    (link,) = wait(opened, lambda: find(opened, "#compress .file-preview a"))
    assert link.get_attribute("download") == "latents.safetensors"


def test_the_slider_of_sigma_is_that_of_models_that_take_it(opened, models, photo):
    upload(opened, "#picture", photo)
    open_tab(opened, "Denoise")
    assert len(find(opened, "#denoise input[type=range]")) == 1
    choose_model(opened, "told")
    wait(opened, lambda: len(find(opened, "#denoise input[type=range]")) == 2)
    find(opened, "#denoise input[type=checkbox]")[0].click()
    added, sigma = find(opened, "#denoise input[type=range]")
    added.send_keys(Keys.ARROW_RIGHT * 20)
    sigma.send_keys(Keys.ARROW_LEFT * 5)
    expected = denoise_picture(models.models["told"].model, photo, sigma=20.0, added=20.0)
    assert press(opened) == as_text(expected)
    assert np.array_equal(pixels(opened, 1), expected.after)


def test_a_saved_detector_finds_anomalies_above_the_threshold_of_the_slider(opened, tmp_path):
    open_tab(opened, "Detect")
    detector, picture = detectors.whole(), tmp_path / "picture.png"
    detector.save(tmp_path / "saved.safetensors")
    Image.fromarray(detectors.smooth(1, seed=5)[0, 0].numpy()).save(picture)
    upload(opened, "#picture", picture)
    upload(opened, "#detector", tmp_path / "saved.safetensors")
    finding = score_picture(detector, picture)
    slider = find(opened, "#detect input[type=range]")[0]
    slider.send_keys(Keys.ARROW_RIGHT * 25)
    assert press(opened) == as_text(judge(finding, 0.3))
    slider.send_keys(Keys.ARROW_RIGHT * 10)
    expected = judge(finding, 0.4)
    wait(opened, lambda: shown(opened) == as_text(expected))
    assert np.array_equal(pixels(opened, 1), expected.after)


def test_samples_are_drawn(opened, models):
    open_tab(opened, "Sample")
    find(opened, "button.primary")[0].click()
    found = pixels(opened, 0)
    (model,) = (each.model for each in models.models.values() if each.samples)
    images = model.postprocess(model.sample(16, generator=torch.Generator().manual_seed(0)))
    assert np.array_equal(found[4:132:8, 4:132:8], images[0].permute(1, 2, 0))


@needs_axe
@pytest.mark.parametrize("tab", ["Reconstruct", "Compress", "Denoise", "Detect", "Sample"])
def test_axe_finds_nothing_serious(opened, tab):
    open_tab(opened, tab)
    assert serious(opened) == []
