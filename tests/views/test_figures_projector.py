"""Figures for a projector: larger words, the same numbers, and the original left alone."""

import altair as alt
import pandas as pd
import plotly.graph_objects as go

from bloodcell.views.figures_projector import FACTOR, enlarge_words
from bloodcell.views.theme import style_figure


def test_plotly_words_grow_and_numbers_stay():
    figure = style_figure(go.Figure(go.Bar(x=[1, 2], y=["a", "b"], textfont={"size": 10})), "light", height=200)
    figure.update_xaxes(tickfont={"size": 12}, title={"text": "points", "font": {"size": 20}})
    before = figure.to_dict()
    large = enlarge_words(figure)
    assert figure.to_dict() == before
    assert large.layout.font.size == round(13 * FACTOR)
    assert large.layout.xaxis.tickfont.size == round(12 * FACTOR)
    assert large.layout.xaxis.title.font.size == round(20 * FACTOR)
    assert large.data[0].textfont.size == round(10 * FACTOR)
    assert list(large.data[0].x) == [1, 2]
    assert large.layout.height > 200
    assert large.layout.xaxis.gridcolor == figure.layout.xaxis.gridcolor


def test_plotly_marks_do_not_grow():
    figure = go.Figure(go.Scatter(x=[1], y=[1], marker={"size": 9}))
    large = enlarge_words(figure)
    assert large.data[0].marker.size == 9
    assert large.layout.font.size == round(12 * FACTOR)


def test_altair_words_grow_and_a_selection_stays():
    table = pd.DataFrame({"x": [1, 2], "name": ["a", "b"]})
    pointed = alt.selection_point(name="pointed", fields=["name"])
    base = alt.Chart(table).encode(x="x:Q")
    chart = alt.layer(base.mark_point().add_params(pointed), base.mark_text(fontSize=10).encode(text="name:N"))
    large = enlarge_words(chart.properties(height=100)).to_dict()
    assert large["config"]["axis"]["labelFontSize"] == round(12 * FACTOR)
    assert large["layer"][1]["mark"]["fontSize"] == 10 * FACTOR
    assert large["height"] > 100
    assert [parameter["name"] for parameter in large["params"]] == ["pointed"]
    assert next(iter(large["datasets"].values())) == table.to_dict("records")
    assert chart.to_dict()["layer"][1]["mark"]["fontSize"] == 10


def test_a_cached_figure_is_the_same_and_stays_as_it_is():
    from bloodcell.views.cache_figures import draw_altair

    table = pd.DataFrame({"x": [1, 2]})

    def draw(points, height):
        return alt.Chart(points).mark_point().encode(x="x:Q").properties(height=height)

    spec = draw_altair(draw, table, height=100)
    assert spec == draw(table, 100).to_dict()
    assert draw_altair(draw, table.copy(), height=100) is spec
    assert draw_altair(draw, table, height=200)["height"] == 200
    large = enlarge_words(spec)
    assert large["config"]["axis"]["labelFontSize"] == round(12 * FACTOR)
    assert spec == draw(table, 100).to_dict()
