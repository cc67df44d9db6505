"""The gallery in a real browser: everything that can be clicked, the keyboard, accessibility."""

import pytest

from browser import chromium, needs_axe, needs_browser, requested, serious

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture
def opened(browser, page):
    """The page, loaded; afterwards nothing may be on the console, and nothing was requested."""
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert set(requested(browser)) <= {page.as_uri()}


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def click(browser, element):
    """Click where a person would: not below the head of the page, which stays in place."""
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element
    )
    element.click()


def names(browser):
    return [each.text for each in find(browser, ".sortable tbody th")]


def matrix(browser):
    """The scale and the place of every reconstruction that is shown."""
    script = "const s = getComputedStyle(arguments[0]); return s.transform + s.transformOrigin"
    panes = find(browser, ".scene:not([hidden]) .moved")
    return {browser.execute_script(script, pane) for pane in panes}


def test_markup_of_a_plugin_stays_text(opened):
    assert opened.title == "convae_zoo: the gallery"
    assert "<script>document.title" in find(opened, "#cards .card p")[0].text


def test_every_link_leads_to_a_section(opened):
    links, tiles = find(opened, "nav a"), find(opened, ".tile")
    assert (len(links), len(tiles)) == (8, 4)
    for link in [*links, *tiles]:
        click(opened, link)
        assert find(opened, link.get_attribute("hash"))[0].is_displayed()


def test_a_click_on_a_head_sorts_and_another_sorts_the_other_way(opened):
    (button, *_) = find(opened, ".sortable thead button")
    click(opened, button)
    assert names(opened) == ["dreams.one", "plain.one", "plain.two"]
    click(opened, button)
    assert names(opened) == ["plain.two", "plain.one", "dreams.one"]
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"


def test_a_filter_hides_what_does_not_match_and_counts(opened):
    (search,) = find(opened, '.filter[data-for="cards"]')
    search.send_keys("DREAMS")
    assert [card.is_displayed() for card in find(opened, ".card h3")].count(True) == 1
    assert find(opened, '.found[data-for="cards"]')[0].text == "1 of 2"


def test_all_views_zoom_and_move_together_by_keyboard(opened):
    assert len(matrix(opened)) == 1
    view = find(opened, ".view")[1]
    before = matrix(opened)
    view.send_keys("+")
    view.send_keys(Keys.ARROW_RIGHT)
    after = matrix(opened)
    assert len(after) == 1
    assert after != before
    (transform,) = after
    assert transform.startswith("matrix(2, 0, 0, 2, 0, 0)")


def test_another_picture_and_other_weights_can_be_chosen(opened):
    first, second = find(opened, ".scene")
    click(opened, find(opened, ".pick")[1])
    assert (first.is_displayed(), second.is_displayed()) == (False, True)
    Select(find(opened, "#trained")[0]).select_by_visible_text("anything")
    assert len([v for v in find(opened, ".view") if v.is_displayed()]) == 5  # PCA's, too


def test_the_difference_of_a_picture_to_itself_is_black(opened):
    """The original lies below each reconstruction; the browser subtracts them."""
    click(opened, find(opened, "#difference")[0])
    script = "return getComputedStyle(arguments[0]).mixBlendMode"
    assert opened.execute_script(script, find(opened, ".moved img")[0]) == "difference"


def test_the_slider_uncovers_the_denoised_picture(opened):
    (slider, _) = find(opened, ".compare input")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
    slider.send_keys(Keys.HOME)
    (before, _) = find(opened, ".compare .before")
    script = "return getComputedStyle(arguments[0]).clipPath"
    assert opened.execute_script(script, before) == "inset(0px 100% 0px 0px)"


def test_the_theme_changes_and_its_button_says_to_what(opened):
    (button,) = find(opened, "#theme")
    paper = "return getComputedStyle(document.body).backgroundColor"
    before, label = opened.execute_script(paper), button.text
    button.click()
    assert opened.execute_script(paper) != before
    assert button.text != label


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(opened, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


@needs_axe
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, theme):
    opened.execute_script(f"document.documentElement.dataset.theme = '{theme}'")
    assert serious(opened) == []
