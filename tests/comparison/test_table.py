"""The terminal table fits its terminal and says all that matters."""

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from manyways.comparison.results import Comparison, Conclusion, Entry
from manyways.comparison.table import broken, render_table

pytestmark = pytest.mark.quick


def drawn(comparison: Comparison, width: int, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding), width=width, color_system=None)
    console.print(render_table(comparison))
    console.file.flush()
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(full: Comparison, width: int) -> None:
    assert max(cell_len(line) for line in drawn(full, width)) <= width


def test_best_first_with_all_columns_at_120(full: Comparison) -> None:
    lines = drawn(full, 120)
    for heading in ("accuracy", "labels worth", "time", "memory", "parameters"):
        assert heading in lines[0]
    rows = [line.split() for line in lines[1:4]]
    assert [row[0] for row in rows] == ["▸", "Pseudo-Label", "Supervised"]
    assert rows[0][1:5] == ["Fixmatch", "96.1%", "±", "1.0"]
    assert rows[0][-7:] == ["310", "31", "s", "120", "MB", "1.0", "k"]
    assert "≥ 1,400" in lines[2]
    assert "●" in lines[1]
    assert "─" in lines[1]


def test_narrow_terminals_lose_memory_first_and_keep_the_score(full: Comparison) -> None:
    assert "memory" not in drawn(full, 80)[0]
    narrow = drawn(full, 40)
    assert "labels worth" not in "\n".join(narrow)
    assert any("Fixmatch" in line and "96.1%" in line for line in narrow)


def test_the_dots_stand_in_the_order_of_the_scores(full: Comparison) -> None:
    lines = drawn(full, 120)[1:4]
    places = [line.index("●") for line in lines]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == 3


def test_failures_and_the_conclusion_follow(full: Comparison) -> None:
    text = "\n".join(drawn(full, 120))
    assert "x Spread  failed: Out of memory at row 7" in text
    assert "x Slow  not finished" in text
    assert text.index("Pseudo-Label") < text.index("x Spread") < text.index("Take Fixmatch: 96.1%")
    told = replace(full, conclusion=Conclusion("Told before", ("In words.",), ("With care.",)))
    assert drawn(told, 120)[-3:] == ["Told before", "  In words." + " " * 109, "  With care." + " " * 108]


def test_markup_in_names_is_not_obeyed(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    failed = Entry("b", "[/red]B", error="[/] odd")
    text = "\n".join(drawn(make_comparison(make_entry("a", [0.5, 0.6], title="[bold]a"), failed), 120))
    assert "[bold]a" in text
    assert "x [/red]B  failed: [/] odd" in text


def test_a_terminal_without_unicode(full: Comparison) -> None:
    plain = replace(full, entries=full.entries[:3])
    comparison = replace(plain, conclusion=Conclusion("Done", recommended="fixmatch"))
    console = Console(file=io.StringIO(), width=120, color_system=None)
    options = console.options.update(width=120)
    options.encoding = "ascii"
    lines = "".join(segment.text for segment in console.render(render_table(comparison), options)).splitlines()
    assert lines[1].startswith("> Fixmatch")
    assert "o" in lines[1].split("1.0")[1]
    assert "●" not in "\n".join(lines)


def test_nothing_scored(make_comparison: Callable[..., Comparison]) -> None:
    text = "\n".join(drawn(make_comparison(Entry("a", "A", error="no labels")), 80))
    assert "x A  failed: no labels" in text
    assert "No way of learning ran to the end" in text


def test_long_names_are_broken_where_a_method_may_be_and_stand_apart_from_the_mark(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    title = "self-training(base=active-learning(acquisition='margin', base=fine-tune (all-MiniLM-L6-v2)), rounds=5)"
    comparison = make_comparison(make_entry("a", [0.9, 0.91], title=title), make_entry("b", [0.5, 0.51]))
    for width in (80, 120):
        lines = drawn(comparison, width)
        end = next(at for at, line in enumerate(lines) if line.startswith("  B"))
        assert lines[1].startswith("▸ self-training(base=")
        assert all(line.startswith("  ") for line in lines[2:end])
        names = "".join(line[: lines[0].index("accuracy") - 1].strip(" ▸") for line in lines[1:end])
        assert names.replace(" ", "") == title.replace(" ", "")
        assert max(cell_len(line) for line in lines) <= width


def test_broken_lines_hold_all_of_a_title() -> None:
    title = "chain(first='x', second=other(y=1))"
    for width in range(3, 40):
        lines = broken(title, width)
        assert max(map(cell_len, lines)) <= width
        assert "".join(lines).replace(" ", "") == title.replace(" ", "")
    assert broken("fine-tune (all-MiniLM-L6-v2)", 20) == ["fine-tune", "(all-MiniLM-L6-v2)"]


def test_a_reference_far_away_is_an_arrow(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    reference = make_entry("majority", [0.1, 0.1], reference=True)
    lines = drawn(make_comparison(make_entry("a", [0.9, 0.91]), make_entry("b", [0.8, 0.81]), reference), 120)
    assert "Majority (reference)" in lines[3]
    assert "◂" in lines[3]
    assert "●" not in lines[3]
    assert "79.5%" in lines[0], "the axis is that of the entries"
