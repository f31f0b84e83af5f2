"""Tables, words and drawings of the trust records, against the counts that they are made from."""

import numpy as np
import pytest

from bloodcell.dataset import CLASS_NAMES
from bloodcell.inference import trust
from bloodcell.inference.corruptions import CORRUPTIONS
from bloodcell.inference.noncells import KINDS
from bloodcell.views import figures_trust as figures
from bloodcell.views import tables_trust as tables
from tests.shelf import write_artifact
from tests.trust_records import make_robustness_record, make_trust_record, make_unseen_record


@pytest.fixture
def artifacts(tmp_path):
    return write_artifact(tmp_path, "cnn_4"), write_artifact(tmp_path, "vgg16_dropout")


@pytest.fixture
def record(artifacts):
    return make_trust_record(artifacts[0])


@pytest.fixture
def spoiled(artifacts):
    return make_robustness_record(*artifacts)


def test_the_headline_says_whether_aims_are_met(record):
    shares = {key: one for key, _, one in tables.headline_shares(record)}
    assert list(shares) == list(tables.AIMS)
    assert tables.describe_aim("answered", shares["answered"]) == "✗ aim: at least 98 %, missed"
    assert tables.describe_aim("foreign", shares["foreign"]) == "✓ aim: at least 95 %"
    assert tables.describe_aim("noncells", shares["noncells"]) == "✓ aim: at least 99 %"
    assert tables.describe_aim("right", trust.share(0, 0)).startswith("✗")
    assert tables.count_text(shares["answered"]) == "772 of 800"
    assert tables.interval_text(trust.share(0, 0)) == "–"
    low, high = shares["answered"]["interval"]
    assert tables.interval_text(shares["answered"]) == f"{100 * low:.1f} to {100 * high:.1f} %"


def test_statuses_add_up_by_class_and_in_all(record):
    table = tables.statuses_table(record).set_index("type")
    assert list(table.index) == [*CLASS_NAMES, "all"]
    assert table.loc["platelet", ["cells", "answered", "uncertain", "right", "wrong"]].tolist() == [100, 93, 7, 92, 1]
    parts = table.loc[list(CLASS_NAMES), ["cells", "answered", "uncertain", "unfamiliar", "no cell", "wrong"]].sum()
    assert (parts == table.loc["all", parts.index]).all()


def test_coverage_by_class_is_that_of_the_chosen_promise(record):
    table = tables.coverage_table(record, 0.98).set_index("type")
    assert table.loc["basophil", "held"] == 90
    assert table.loc["all", "held"] == 784
    assert table.loc["all", "share"] == pytest.approx(0.98)
    choices = tables.choices_table(record)
    assert choices["coverage"].tolist() == list(trust.COVERAGES)
    assert set(choices["wrong"]) == {7}


def test_kinds_and_framings_have_a_row_each(record):
    kinds = tables.noncells_table(record["noncells"])
    assert kinds["kind"].tolist() == list(KINDS)
    assert (kinds["refused"] == kinds["uncertain"] + kinds["unfamiliar"] + kinds["no cell"]).all()
    fields = tables.fields_table(record["fields"])
    assert len(fields) == 2 * len(trust.CROP_MARGINS)
    assert fields.iloc[0][["fields", "frame", "cells", "refused"]].tolist() == ["even", trust.CROP_MARGINS[0], 186, 180]


def test_examples_say_what_became_of_them():
    assert tables.describe_example({"status": "ok", "possible": ["monocyte"]}) == "called monocyte"
    both = {"status": "uncertain", "possible": ["monocyte", "lymphocyte"]}
    assert tables.describe_example(both) == "possible: monocyte, lymphocyte"
    assert tables.describe_example({"status": "unfamiliar", "reasons": ["Too dark."]}) == "Too dark."


def test_one_corruption_begins_with_the_unspoiled_image(spoiled):
    table = tables.robustness_table(spoiled, "motion")
    assert len(table) == 12
    assert table[table["model"] == "cnn_4"]["severity"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table["named rightly"].iloc[0] == pytest.approx(0.98)
    assert np.isnan(table["wrong among answered"].iloc[5])  # all refused: no answer to be wrong
    assert len(tables.robustness_table(spoiled)) == len(spoiled["rows"])


def test_the_worst_corruption_is_found(spoiled):
    sentence = tables.describe_worst(spoiled)
    assert "**blur**, severity 2: 30 of 1,000 cells (3.0 %)" in sentence


def test_unseen_types_say_what_they_were_called():
    table = tables.unseen_table(make_unseen_record()).set_index("type never seen")
    assert table.loc["basophil", ["cells", "refused"]].tolist() == [100, 40]
    assert table.loc["basophil", "called instead"] == "eosinophil 60"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_figure_draws_its_table(record, spoiled, mode):
    coverage = tables.coverage_table(record, 0.99)
    figure = figures.coverage_figure(coverage, 0.99, mode)
    np.testing.assert_allclose(figure.data[0].x, 100 * coverage["share"])
    np.testing.assert_allclose(figure.data[0].error_x.array, 100 * (coverage["high"] - coverage["share"]))
    assert figure.layout.shapes[0].x0 == 99

    statuses = tables.statuses_table(record)
    figure = figures.statuses_figure(statuses, "type", mode)
    assert [bar.name for bar in figure.data] == list(tables.STATUS_WORDS.values())
    np.testing.assert_allclose(sum(np.array(bar.x) for bar in figure.data), 100)
    assert len({bar.marker.pattern.shape for bar in figure.data}) == 4

    figure = figures.spoiled_overview_figure(spoiled, "refused", mode)
    assert list(figure.data[0].y) == [one.name for one in CORRUPTIONS.values()]
    assert list(figure.data[0].z[0]) == [20, 40, 60, 80, 100]
    figure = figures.spoiled_overview_figure(spoiled, "wrong_answers", mode)
    assert figure.data[0].z[1][4] is None
    assert figure.data[0].text[1][4] == "none answered"

    table = tables.robustness_table(spoiled, "jpeg")
    figure = figures.spoiled_figure(table, ["cnn_4", "vgg16_dropout"], "cnn_4", mode)
    assert [trace.name for trace in figure.data] == ["cnn_4"] * 3 + ["vgg16_dropout"] * 2
    np.testing.assert_allclose(figure.data[0].y, [98, 88, 78, 68, 58, 48])

    unseen = tables.unseen_table(make_unseen_record())
    figure = figures.unseen_figure(unseen, mode)
    np.testing.assert_allclose(figure.data[0].x, 100 * unseen["share"])
