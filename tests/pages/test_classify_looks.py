"""Where a network looked and which training cells are similar, on the page Classify."""

import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.inference.conftest import pooled_artifacts, pooled_artifacts_folder  # noqa: F401

APP = Path(__file__).parents[2] / "app.py"


def words(at):
    return "\n".join(str(element.value) for kind in (at.markdown, at.caption) for element in kind)


def test_a_network_that_pools_shows_where_it_looked_and_similar_cells(small_dataset, pooled_artifacts):  # noqa: F811
    at = AppTest.from_file(str(APP), default_timeout=120).run()
    at.switch_page("pages/classify.py")
    at.query_params["cell"] = "test-3"
    at.run()
    for _ in range(60):
        if "nearest first by the features" in words(at):
            break
        time.sleep(0.5)
        at.run()
    assert not at.exception
    assert words(at).count("nearest first by the features") in (2, 3), "the likely types, at least two"
    at.toggle(key="classify_attention").set_value(True).run()
    assert not at.exception
    assert "Yellow: what speaks for" in words(at) or "Nothing in this picture speaks" in words(at)
