"""The report opens offline, shows the numbers and obeys no text of the data."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from manyways.comparison.report import render_report, settings, write_report
from manyways.comparison.report.charts import all_charts
from manyways.comparison.report.colours import colours
from manyways.comparison.report.matrices import confused_pairs
from manyways.comparison.report.placing import beside, spread
from manyways.comparison.results import Best, Comparison, Confusion, Entry, Mistake
from manyways.errors import DataError

pytestmark = pytest.mark.quick

HOSTILE = "</script><script>alert(1)</script><img src=https://example.org/spy.png>"
Figures = dict[str, dict[str, Any]]


class Page(HTMLParser):
    """Elements with their attributes, and the text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.code:
            self._inside = tag
            self.code[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.code[self._inside][-1] += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def page(full: Comparison) -> Page:
    return Page(render_report(full))


@pytest.fixture(scope="module")
def figures(full: Comparison) -> Figures:
    return {chart.key: chart.figure for chart in all_charts(full)}


def references(page: Page) -> list[str]:
    names = ("src", "href", "srcset", "data", "poster", "action")
    return [value or "" for _, found in page.elements for name, value in found.items() if name in names]


def of_entry(figure: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace.get("meta") == {"entry": name}]


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert all(reference.startswith("data:") for reference in references(page))
    assert any(reference.startswith("data:image/png") for reference in references(page))
    assert not re.search(r"url\(|@import", "".join(page.code["style"]))
    policies = [found["content"] for tag, found in page.elements if tag == "meta" and "http-equiv" in found]
    assert len(policies) == 1
    assert (policies[0] or "").startswith("default-src 'none'")
    assert "link" not in {tag for tag, _ in page.elements}


def test_the_page_says_what_was_found(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "Take Fixmatch: 96.1% accuracy from 40 labels" in text
    assert "96.1% ± 1.0" in text
    assert "more than 1,400" in text
    assert "Out of memory at row 7. with a trace" in text
    assert "true zero predicted one 75% sure" in text
    assert "manyways compare digits --labels 40" in text
    assert "net.width 32" in text
    assert "2026-01-02 03:04 UTC" in text


def test_the_charts_on_the_page_are_those_that_were_made(page: Page, figures: Figures) -> None:
    places = [found["data-chart"] for tag, found in page.elements if "data-chart" in found]
    assert places == ["forest", "labels", "curves", "costs", "confusion"]
    embedded = next(code for code in page.code["script"] if code.startswith("{"))
    assert json.loads(embedded) == json.loads(json.dumps(figures))


def test_plotly_accepts_every_chart(figures: Figures) -> None:
    for figure in figures.values():
        assert go.Figure(figure).to_plotly_json()["data"]


def test_the_forest_holds_means_intervals_and_seeds(figures: Figures) -> None:
    seeds, mean = of_entry(figures["forest"], "fixmatch")
    assert seeds["x"] == [0.961, 0.962, 0.960]
    assert mean["x"] == [pytest.approx(0.961)]
    assert mean["error_x"]["array"] == [pytest.approx(0.01)]
    assert figures["forest"]["layout"]["yaxis"]["ticktext"] == ["Fixmatch", "Pseudo-Label", "Supervised"]


def test_the_label_chart_holds_the_line_and_where_entries_meet_it(figures: Figures) -> None:
    _, line = of_entry(figures["labels"], "supervised")
    assert line["x"] == [40, 200, 1400]
    (met,) = of_entry(figures["labels"], "fixmatch")
    assert met["x"] == [40, 310.0]
    (beyond,) = of_entry(figures["labels"], "pseudo-label")
    assert beyond["x"] == [40, 1400]
    assert beyond["marker"]["symbol"][1] == "triangle-right"
    assert "worth more than 1,400 labels" in beyond["hovertemplate"]


def test_an_entry_whose_worth_is_not_measurable_gets_no_line(full: Comparison) -> None:
    unknown = replace(full.entries[2], labels_note="not measurable: it failed")
    charts = {chart.key: chart.figure for chart in all_charts(replace(full, entries=(unknown,)))}
    (dot,) = of_entry(charts["labels"], "pseudo-label")
    assert dot["x"] == [40, 40]
    assert "worth" not in dot["hovertemplate"]


def test_curves_costs_and_confusion_hold_the_numbers(full: Comparison, figures: Figures) -> None:
    _, curve = of_entry(figures["curves"], "fixmatch")
    assert (curve["x"], curve["y"][-1]) == ([100, 200], pytest.approx(0.961))
    (cost,) = of_entry(figures["costs"], "fixmatch")
    assert (cost["x"], cost["y"]) == ([31.0], [pytest.approx(0.961)])
    (heat,) = figures["confusion"]["data"]
    assert heat["z"] == [[0.95, 0.05], [0.03, 0.97]]
    assert heat["text"] == [["190", "10"], ["6", "194"]]
    assert confused_pairs(full) == [("zero", "one", 10), ("one", "zero", 6)]


def test_an_entry_has_one_colour_everywhere(full: Comparison, figures: Figures) -> None:
    look = colours(full)["fixmatch"]
    for key in ("forest", "labels", "curves", "costs"):
        drawn = json.dumps(of_entry(figures[key], "fixmatch"))
        assert look.colour in drawn
        others = {other.colour for name, other in colours(full).items() if name != "fixmatch"}
        assert not any(colour in drawn for colour in others)


def test_entries_beyond_the_palette_still_differ(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = [make_entry(f"way-{at}", [0.5 + at / 100]) for at in range(25)]
    looks = colours(make_comparison(*entries))
    assert len({looks[entry.name] for entry in entries}) == 25


def test_hostile_text_is_shown_and_not_obeyed(full: Comparison) -> None:
    entry = replace(full.entries[1], name=HOSTILE, title=HOSTILE, hyperparameters={HOSTILE: HOSTILE}, source=HOSTILE)
    failed = Entry("bad", HOSTILE, error=HOSTILE)
    best = Best(
        HOSTILE,
        Confusion((HOSTILE, "b"), ((1, 2), (3, 4))),
        (
            Mistake(HOSTILE, HOSTILE, HOSTILE, "text", HOSTILE),
            Mistake("2", "a", "b", "table", {HOSTILE: HOSTILE}),
            Mistake("3", "a", "b", "image", 'data:image/png;base64,"onerror="alert(1)'),
        ),
    )
    data = replace(full.data, name=HOSTILE, label=HOSTILE, source=HOSTILE, classes=(HOSTILE, "b"))
    page = Page(
        render_report(replace(full, entries=(full.entries[0], entry, failed), best=best, data=data, command=HOSTILE))
    )
    assert all(reference.startswith("data:") for reference in references(page))
    assert len(page.code["script"]) == 3
    assert not [found for _, found in page.elements if "onerror" in found]
    assert page.text.count(HOSTILE) > 10
    embedded = next(code for code in page.code["script"] if code.startswith("{"))
    assert "<" not in embedded
    # Plotly reads HTML in its texts: names must reach it escaped.
    assert "&lt;/script&gt;" in json.loads(embedded)["forest"]["layout"]["yaxis"]["ticktext"][0]
    assert "<img" not in json.dumps(
        {
            key: [figure["data"][0].get("hovertemplate"), figure["layout"]]
            for key, figure in json.loads(embedded).items()
        }
    )


def test_a_regression_shows_predicted_against_true(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    best = Best("ridge", mistakes=(Mistake("1", 3.0, 5.5, "table", {"age": 43.0}, None, 2.5),), scatter=((3.0, 5.5),))
    entries = (make_entry("ridge", [50.0, 51.0]), make_entry("supervised", [58.0, 57.0]))
    comparison = make_comparison(*entries, metric="rmse", higher_is_better=False, task="regression", best=best)
    charts = {chart.key: chart.figure for chart in all_charts(comparison)}
    _, points = charts["scatter"]["data"]
    assert (points["x"], points["y"]) == ([3.0], [5.5])
    assert "confusion" not in charts
    left, right = charts["forest"]["layout"]["xaxis"]["range"]
    assert left > right
    text = " ".join(Page(render_report(comparison)).text.split())
    assert "Lower is better" in text
    assert "true 3 predicted 5.5 off by 2.5" in text


def test_entries_that_hardly_differ_are_seen_to(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = (make_entry("clip", [0.55], 36.0), make_entry("other", [0.5501], 36.0))
    layout = {chart.key: chart.figure for chart in all_charts(make_comparison(*entries))}["costs"]["layout"]
    low, high = layout["yaxis"]["range"]
    assert high - low > 0.02, "an axis of a tenth of a point would make them look far apart"
    assert layout["xaxis"]["ticktext"] == ["25 s", "51 s"], "no round time is near"


def test_audio_has_a_player(full: Comparison) -> None:
    heard = Mistake("1", "seven", "four", "audio", "data:audio/wav;base64,UklGRg==", 0.6)
    page = Page(render_report(replace(full, best=replace(full.best or Best("fixmatch"), mistakes=(heard,)))))
    assert [found["src"] for tag, found in page.elements if tag == "audio"] == [heard.payload]


def test_many_classes_show_no_counts_in_cells(full: Comparison) -> None:
    names = tuple(f"intent {at}" for at in range(77))
    counts = tuple(tuple(5 if row == column else 0 for column in range(77)) for row in range(77))
    best = Best("fixmatch", Confusion(names, counts))
    (chart,) = (chart for chart in all_charts(replace(full, best=best)) if chart.key == "confusion")
    assert "text" not in chart.figure["data"][0]
    assert chart.figure["layout"]["width"] < 980


def test_nothing_scored_still_makes_a_page(make_comparison: Callable[..., Comparison]) -> None:
    html = render_report(make_comparison(Entry("a", "A", error="no labels")))
    page = Page(html)
    assert "No way of learning ran to the end" in page.text
    assert "no labels" in page.text
    assert len(html) < 100_000


def test_it_is_written_whole_or_refused(full: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(full, path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"Cannot write .*: No such file or directory\. Name a file"):
        write_report(full, tmp_path / "missing" / "report.html")


def test_nested_settings_become_one_list() -> None:
    assert list(settings({"a": {"b": 1, "c": {"d": (1, 2)}}, "e": {}})) == [
        ("a.b", 1),
        ("a.c.d", "1, 2"),
        ("e", {}),
    ]


def test_spread_keeps_labels_apart_and_inside() -> None:
    placed = spread([50.0, 51.0, 52.0, 0.0], 10.0, 0.0, 100.0)
    assert placed == [41.0, 51.0, 61.0, 0.0]
    assert spread([99.0, 100.0], 10.0, 0.0, 100.0) == [90.0, 100.0]
    assert spread([1.0] * 5, 50.0, 0.0, 100.0) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert spread([120.0], 10.0, 0.0, 100.0) == [100.0]


def test_labels_beside_points_avoid_edge_and_neighbours() -> None:
    assert beside([(390.0, 50.0)], [80.0], (400.0, 100.0)) == ["middle left"]
    left, right = beside([(100.0, 50.0), (130.0, 50.0)], [60.0, 60.0], (400.0, 100.0))
    assert left == "middle left"
    assert right == "middle right"


def test_a_label_without_a_free_place_has_none() -> None:
    crowd = [(200.0, 50.0 + at) for at in range(9)]
    places = beside(crowd, [150.0] * 9, (400.0, 100.0))
    assert None in places
    assert 0 < len(set(places) - {None}) == len([place for place in places if place])
