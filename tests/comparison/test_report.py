"""The report opens offline, shows the numbers and obeys no text of the data."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from manyways.comparison.conclusion import conclude
from manyways.comparison.exhibits import Exhibit, Item
from manyways.comparison.report import render_report, settings, write_report
from manyways.comparison.report.matrices import MOST_CLASSES, confused_pairs
from manyways.comparison.report.placing import beside, spread
from manyways.comparison.results import Best, Comparison, Confirmed, Confusion, CurvePoint, Entry, Mistake
from manyways.errors import DataError

pytestmark = pytest.mark.quick

HOSTILE = "</script><script>alert(1)</script><img src=https://example.org/spy.png>"
VOID = {"meta", "img", "br", "wbr", "input"}
MOST_BYTES = 1_500_000


class Page(HTMLParser):
    """Elements with their attributes, the text outside of scripts and styles, and tags that do not fit each other."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self.misplaced: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.misplaced += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag in self.code:
            self.code[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.misplaced.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.code:
            self.code[self._open[-1]][-1] += data
        else:
            self.text += data

    def having(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of the elements that have the attribute `name`."""
        return [found for _, found in self.elements if name in found]

    def classed(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of the class `name`."""
        return [found for _, found in self.elements if name in (found.get("class") or "").split()]


@pytest.fixture(scope="module")
def page(full: Comparison) -> Page:
    return Page(render_report(full))


def references(page: Page) -> list[str]:
    names = ("src", "href", "srcset", "data", "poster", "action")
    return [value or "" for _, found in page.elements for name, value in found.items() if name in names]


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert all(reference.startswith("data:") for reference in references(page))
    assert any(reference.startswith("data:image/png") for reference in references(page))
    assert not re.search(r"url\(|@import", "".join(page.code["style"]))
    assert not re.search(r"fetch|XMLHttp|import\b|https?:", "".join(page.code["script"]))
    policies = [found["content"] for tag, found in page.elements if tag == "meta" and "http-equiv" in found]
    assert len(policies) == 1
    assert (policies[0] or "").startswith("default-src 'none'")
    assert "link" not in {tag for tag, _ in page.elements}


def test_the_page_says_what_was_found(page: Page) -> None:
    text = words(page)
    assert "Take Fixmatch: 96.1% accuracy from 40 labels" in text
    assert "96.1% ± 1.0" in text
    assert "≥ 1,400" in text
    assert "Out of memory at row 7. with a trace" in text
    assert "true zero predicted one 75% sure" in text
    assert "manyways compare digits --labels 40" in text
    assert "net.width 32" in text
    assert "2026-01-02 03:04 UTC" in text


def test_every_tag_is_closed_and_every_id_is_given_once(page: Page) -> None:
    assert page.misplaced == []
    ids = [found["id"] for found in page.having("id")]
    assert len(set(ids)) == len(ids)
    assert {found["aria-labelledby"] for found in page.having("aria-labelledby")} <= set(ids)
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(next_ <= level + 1 for level, next_ in zip(headings, headings[1:], strict=False))


def test_pictures_have_words_for_those_who_do_not_see_them(page: Page) -> None:
    images = [found for tag, found in page.elements if tag == "img"]
    assert images
    assert all(found["alt"] for found in images)
    frames = page.classed("frame")
    assert len(frames) == 4
    assert all(found["role"] == "img" and found["aria-label"] for found in frames)
    assert all(found["aria-hidden"] == "true" for found in page.classed("strip") + page.classed("swatch"))


def test_the_plots_are_those_that_have_numbers(page: Page) -> None:
    assert [found["id"] for found in page.classed("plot")] == ["labels", "curves-steps", "curves-seconds", "costs"]
    assert [found["value"] for tag, found in page.elements if tag == "input"] == ["curves-steps", "curves-seconds"]
    assert "#curves-steps { display: none; }" in "".join(page.code["style"])


def test_the_table_stands_in_order_and_is_read_on_a_telephone(page: Page) -> None:
    rows = [found for tag, found in page.elements if tag == "tr" and found.get("role") == "row"][1:]
    assert [(found["class"] or "").split()[0] for found in rows] == ["e0", "e1", "e2"]
    assert "best" in (rows[0]["class"] or "")
    cells = [found["data-heading"] for found in page.having("data-heading")]
    assert cells == ["Accuracy", "Labels worth", "Time", "Memory", "Parameters", "Steps"] * 3
    style = "".join(page.code["style"])
    narrow = style[style.index("@media screen and (max-width: 1000px)") :]
    assert "content: attr(data-heading)" in narrow
    assert ".ways, .ways thead, .ways tbody { display: block; }" in narrow


def test_the_legend_is_pressed_for_what_is_seen(page: Page) -> None:
    buttons = [found for tag, found in page.elements if tag == "button" and "data-entry" in found]
    assert [(found["data-entry"], found["aria-pressed"]) for found in buttons] == [
        ("e0", "true"),
        ("e1", "true"),
        ("e2", "true"),
    ]
    assert not page.classed("off")
    assert not page.having("data-all")


def test_what_a_pointer_reads_is_the_numbers(page: Page) -> None:
    tips = [json.loads(found["data-tips"] or "") for found in page.having("data-tips") if found["data-entry"] == "e0"]
    texts = [text for points in tips for _, _, text in points]
    assert "200 steps, 20 s: 96.1% (0.0–96.1)" in texts
    assert "96.1% ± 1.0 with 40, worth 310 labels" in texts
    assert "96.1% ± 1.0\n31 s, 1.0 k parameters" in texts
    assert all(0 <= x <= 100 and 0 <= y <= 100 for points in tips for x, y, _ in points)


def test_a_checkpoint_has_no_path_on_the_page(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    place = "/secret/place/all-MiniLM-L6-v2"
    tuned = make_entry(
        f"fine-tune(backbone='{place}')",
        [0.9, 0.91],
        title="fine-tune (all-MiniLM-L6-v2)",
        hyperparameters={"name": "fine-tune", "backbone": place},
        caution=f"{place} was read slowly.",
    )
    broken = Entry(
        "b", "simclr (all-MiniLM-L6-v2)", error=f"{place} is no folder.", hyperparameters={"backbone": place}
    )
    comparison = make_comparison(tuned, make_entry("other", [0.5, 0.6]), broken)
    html = render_report(replace(comparison, conclusion=conclude(comparison)))
    assert "secret" not in html
    assert html.count("fine-tune (all-MiniLM-L6-v2)") > 5
    assert "all-MiniLM-L6-v2 is no folder." in html
    assert "all-MiniLM-L6-v2 was read slowly." in html


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
    assert len(page.code["script"]) == 1
    assert "alert" not in page.code["script"][0]
    assert not [found for _, found in page.elements if "onerror" in found]
    assert page.text.count(HOSTILE) > 10
    assert {found["data-title"] for found in page.having("data-title")} >= {HOSTILE}
    assert "innerHTML" not in page.code["script"][0], "names are text wherever the script puts them"


def test_a_regression_shows_predicted_against_true(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    best = Best("ridge", mistakes=(Mistake("1", 3.0, 5.5, "table", {"age": 43.0}, None, 2.5),), scatter=((3.0, 5.5),))
    entries = (make_entry("ridge", [50.0, 51.0]), make_entry("supervised", [58.0, 57.0]))
    comparison = make_comparison(*entries, metric="rmse", higher_is_better=False, task="regression", best=best)
    page = Page(render_report(comparison))
    assert "scatter" in [found["id"] for found in page.classed("plot")]
    assert not page.classed("confusion")
    assert "Lower is better" in words(page)
    assert "true 3 predicted 5.5 off by 2.5" in words(page)
    assert any("true 3, predicted 5.5" in (found["data-tips"] or "") for found in page.having("data-tips"))


def test_audio_has_a_player(full: Comparison) -> None:
    heard = Mistake("1", "seven", "four", "audio", "data:audio/wav;base64,UklGRg==", 0.6)
    page = Page(render_report(replace(full, best=replace(full.best or Best("fixmatch"), mistakes=(heard,)))))
    assert [found["src"] for tag, found in page.elements if tag == "audio"] == [heard.payload]


def test_confusions_are_a_table(full: Comparison, page: Page) -> None:
    assert "0 zero" not in words(page)
    assert "zero 190 10 one 6 194" in words(page)
    assert confused_pairs(full) == [("zero", "one", 10), ("one", "zero", 6)]


def test_of_many_classes_the_most_mistaken_are_shown(full: Comparison) -> None:
    size = 77
    counts = [[5 if row == column else 0 for column in range(size)] for row in range(size)]
    counts[70][71] = 9
    best = Best("fixmatch", Confusion(tuple(f"intent {at}" for at in range(size)), tuple(map(tuple, counts))))
    text = words(Page(render_report(replace(full, best=best))))
    assert f"These are the {MOST_CLASSES} classes with the most mistakes; 61 others are summed up" in text
    assert "intent 70 5 9" in text
    assert "intent 40" not in text


def test_one_entry(make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]) -> None:
    page = Page(render_report(make_comparison(make_entry("only", [0.9]))))
    assert page.misplaced == []
    assert "The score" in words(page)
    assert not page.classed("legend")
    assert [found["id"] for found in page.classed("plot")] == ["curves-steps", "curves-seconds"]


def test_forty_entries_show_five_at_first(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = [make_entry(f"way-{at}", [0.9 - at / 100, 0.91 - at / 100], 1.0 + at) for at in range(39)]
    html = render_report(make_comparison(*entries, make_entry("supervised", [0.3, 0.31])))
    page = Page(html)
    assert len(html.encode()) < MOST_BYTES
    pressed = [found["data-entry"] for found in page.having("aria-pressed") if found["aria-pressed"] == "true"]
    assert pressed == ["e0", "e1", "e2", "e3", "e4", "e39"]
    curves = [found for found in page.classed("series") if "off" not in (found["class"] or "").split()]
    assert len(curves) == 2 * len(pressed) + 40, "six in each plot of curves, and all in that of costs"
    assert len(page.having("data-all")) == 1


def test_seconds_come_first_where_steps_cost_differently(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    slow = tuple(CurvePoint(step, 5.0 * step, 0.8) for step in (1, 2, 3))
    html = render_report(make_comparison(make_entry("quick", [0.9]), make_entry("slow", [0.8], curve=slow)))
    plots = [found["id"] for found in Page(html).classed("plot")]
    assert plots[:2] == ["curves-seconds", "curves-steps"]


def test_an_entry_without_steps_stands_at_its_time(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = (make_entry("trained", [0.9]), make_entry("closed", [0.8], 0.02, curve=(), steps=0))
    tips = Page(render_report(make_comparison(*entries))).having("data-tips")
    closed = [found["data-tips"] for found in tips if found["data-title"] == "Closed"]
    assert any("0 steps, 0.020 s: 80.0%" in (text or "") for text in closed)


def test_a_reference_is_a_dashed_line_and_a_word(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    near = make_entry("most frequent", [0.7, 0.7], 0.1, reference=True)
    entries = (make_entry("a", [0.9, 0.91]), make_entry("b", [0.75, 0.76]))
    page = Page(render_report(make_comparison(*entries, near)))
    assert len(page.classed("rule")) == 3, "one in every row"
    assert "Most Frequent for reference" in words(page)
    assert "Most Frequent" not in {found.get("title") for tag, found in page.elements if tag == "button"}
    far = Page(render_report(make_comparison(*entries, replace(near, score=0.1, scores=(0.1, 0.1), low=0.1, high=0.1))))
    assert not far.classed("rule"), "it lies beyond the scale"
    assert len(far.classed("off-scale")) == 1


def test_what_is_level_with_the_best_and_what_went_wrong_stand_as_words(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = (
        make_entry("a", [0.90, 0.92, 0.88]),
        make_entry("b", [0.89, 0.93, 0.87], caution="It diverged at step 7."),
        make_entry("c", [0.1, 0.1, 0.1], over_budget=1.62),
        replace(make_entry("d", [0.1, 0.1]), failed_seeds={"2": "out of memory"}, scores=(0.1, 0.1, None)),
    )
    page = Page(render_report(make_comparison(*entries)))
    marks = [(found["class"], found.get("title")) for tag, found in page.elements if tag == "em"]
    assert ("best", None) in marks
    assert ("plain", "It cannot be told apart from the best mean.") in marks
    assert ("caution", "It diverged at step 7.") in marks
    assert "A recommended" in words(page)
    assert "B level caution" in words(page)
    assert "C 1.6 × the budget 10.0%" in words(page)
    assert "D 1 of 3 failed 10.0%" in words(page)


def test_intervals_of_fractions_end_at_one(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = (
        make_entry("a", [0.99, 1.0], low=0.93, high=1.06, curve=()),
        make_entry("b", [0.5, 0.6], low=-0.1, high=1.2),
    )
    text = words(Page(render_report(make_comparison(*entries))))
    assert "99.5% 93.0–100.0" in text
    assert "55.0% 0.0–100.0" in text
    assert not re.search(r"10[1-9](\.\d)?%|1[1-9]\d(\.\d)?%", text)


def test_pictures_and_sounds_do_not_make_it_large(full: Comparison) -> None:
    heavy = "data:image/png;base64," + "A" * 150_000
    mistakes = tuple(Mistake(str(at), "zero", "one", "image", heavy) for at in range(24))
    grid = Exhibit("What it makes", items=tuple(Item("image", heavy) for _ in range(2)))
    entries = tuple(replace(entry, exhibits=(grid,)) if entry.scored else entry for entry in full.entries)
    html = render_report(replace(full, entries=entries, best=replace(full.best or Best("fixmatch"), mistakes=mistakes)))
    page = Page(html)
    assert len(html.encode()) < MOST_BYTES
    assert len([found for tag, found in page.elements if tag == "img"]) == 2 + 2
    assert "22 more are in the results" in words(page)
    assert "Pseudo-Label and Supervised: in the results" in words(page)


def test_long_texts_and_wide_tables_are_cut(full: Comparison) -> None:
    wide = Mistake("1", "zero", "one", "table", {f"column {at}": at for at in range(100)})
    long = Mistake("2", "zero", "one", "text", "word " * 1000)
    text = words(Page(render_report(replace(full, best=Best("fixmatch", mistakes=(wide, long))))))
    assert "column 11 11 and 88 more columns" in text
    assert text.count("word") < 200
    assert "…" in text


def test_nothing_scored_still_makes_a_page(make_comparison: Callable[..., Comparison]) -> None:
    html = render_report(make_comparison(Entry("a", "A", error="no labels")))
    page = Page(html)
    assert "No way of learning ran to the end" in page.text
    assert "no labels" in page.text
    assert len(html) < 60_000
    assert page.misplaced == []


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


def test_names_beside_a_plot_do_not_cover_each_other(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = [make_entry(f"way-{at}", [0.9 + at / 10_000]) for at in range(5)]
    page = Page(render_report(make_comparison(*entries)))
    places = [float((found["y"] or "").rstrip("%")) for found in page.classed("name") if "data-place" in found][:5]
    assert len({found["data-place"] for found in page.having("data-place")}) > 1
    assert min(next_ - place for place, next_ in zip(places, places[1:], strict=False)) >= 4.4


def test_a_dozen_rows_are_enough_to_read(full: Comparison) -> None:
    mistakes = tuple(Mistake(str(at), "zero", "one", "table", {"a": at}) for at in range(20))
    page = Page(render_report(replace(full, best=Best("fixmatch", mistakes=mistakes))))
    assert words(page).count("true zero predicted one") == 12
    assert "8 more are in the results" in words(page)


def test_the_reason_of_an_entry_on_the_shortlist_is_said(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = (make_entry("a", [0.9], reason="spreads the labels"), make_entry("b", [0.8]))
    page = Page(render_report(make_comparison(*entries)))
    assert "A spreads the labels" in words(page)
    assert {found.get("title") for found in page.classed("name")} >= {"A: spreads the labels", "B"}


def test_the_worth_in_labels_has_its_interval(full: Comparison) -> None:
    entries = [
        replace(entry, labels_low=190.0, labels_high=None) if entry.name == "fixmatch" else entry
        for entry in full.entries
    ]
    page = Page(render_report(replace(full, entries=tuple(entries))))
    (whisker,) = page.classed("whisker")
    ends = [float(place.split()[0]) for place in (whisker["d"] or "").strip("M").split("L")]
    assert 0 < ends[0] < ends[1] < 1000, "from 190 labels to the end of the curve"
    assert "310 ≥ 190" in words(page)
    assert "labels plain supervision would need (190 or more) 310" in words(page)
    assert "The wide stroke is the interval" in words(page)
    assert not Page(render_report(full)).classed("whisker")


def test_intervals_of_one_comparison_are_written_alike(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    even = make_entry("even", [0.5, 0.6], low=0.5, high=0.6)
    odd = make_entry("odd", [0.9, 0.91], low=0.8, high=0.92)
    assert "55.0% ± 5.0" in words(Page(render_report(make_comparison(even))))
    text = words(Page(render_report(make_comparison(even, odd))))
    assert "55.0% 50.0–60.0" in text
    assert "90.5% 80.0–92.0" in text


def test_a_fraction_that_may_be_below_zero_is_not_cut_there(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    lost = make_entry("lost", [-0.2, -0.3], low=-0.35, high=-0.15, curve=())
    page = Page(render_report(make_comparison(lost, metric="backward_transfer")))
    assert "-25.0% ± 10.0" in words(page)


def test_the_score_on_rows_kept_apart_stands_beside_the_best(full: Comparison) -> None:
    confirmed = Confirmed("fixmatch", 180, 0.94, 0.9, 0.98, (0.94,))
    text = words(Page(render_report(replace(full, confirmed=confirmed))))
    assert "accuracy ± 1.0 96.1% accuracy on 180 rows kept apart ± 4.0 94.0%" in text
    other = replace(confirmed, name="supervised")
    assert "kept apart" not in words(Page(render_report(replace(full, confirmed=other)))).partition("Every way")[0]
