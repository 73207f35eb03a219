"""Every page, as a browser shows it: in light and dark, wide and narrow, without a network."""

import pytest
from browsing import walk

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.slow]

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def walked(browser, address, built):
    return walk(browser, address, built.pages())


def test_the_console_is_silent(walked):
    assert walked.console == []


def test_nothing_is_asked_of_another_host_and_nothing_is_missing(walked):
    assert walked.strangers == []


def test_all_maths_is_set(walked):
    assert walked.maths == []


def test_nothing_is_wider_than_its_column(walked):
    assert walked.wide == []


def test_no_page_scrolls_sideways_on_a_phone(walked):
    assert walked.sideways == []


def test_axe_finds_no_fault_in_either_colour_scheme(walked):
    assert walked.faults == []


def test_dark_is_dark(walked, built):
    for page in built.pages():
        light, dark = (walked.schemes[page, scheme] for scheme in ("light", "dark"))
        assert light == "rgb(255, 255, 255)" and dark != light, page


def test_pages_are_light(walked, built):
    weights = {
        page: sum((built.folder / file).stat().st_size for file in files)
        for page, files in walked.asked_for.items()
    }
    assert len(weights) > 20
    # More than its text: the theme, its script, and where there is maths KaTeX and its fonts.
    assert all(weight > 300_000 for weight in weights.values())
    assert any(file.endswith(".woff2") for file in walked.asked_for["chapters/ch05/"])
    assert {page: weight for page, weight in weights.items() if weight > MEGABYTE} == {}


def test_the_search_index_is_left_alone_until_somebody_searches(walked):
    assert not any("search_index" in file for files in walked.asked_for.values() for file in files)
