"""A comparison as one HTML file that opens offline."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyways.comparison import wording
from manyways.comparison.conclusion import BASELINES, conclude
from manyways.comparison.report.colours import PALETTE_DARK, PALETTE_LIGHT, colours
from manyways.comparison.report.costs import costs
from manyways.comparison.report.curves import learning_curves
from manyways.comparison.report.examples import drawn_examples
from manyways.comparison.report.exhibits import fitting, shares, shelves
from manyways.comparison.report.label_chart import label_chart
from manyways.comparison.report.legend import legend
from manyways.comparison.report.matrices import confused_pairs, confusion_table, scatter
from manyways.comparison.report.plots import Series
from manyways.comparison.report.scatters import Sheet, dots, points
from manyways.comparison.report.scatters import words as map_words
from manyways.comparison.report.table import ways
from manyways.comparison.results import Comparison, Entry
from manyways.comparison.titles import checkpoint_names, checkpoint_places
from manyways.whole import write_whole

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_COLUMNS = 12
MOST_LETTERS = 700
"""Of a row that is shown: columns of a table, letters of a text."""


def write_report(comparison: Comparison, path: str | Path) -> Path:
    """Write `comparison` to `path` as one HTML file without any outside resource, whole or not at all.

    Raises DataError if the file cannot be written.
    """
    return write_whole(path, render_report(comparison))


def render_report(comparison: Comparison) -> str:
    """The text of the HTML file that `write_report` writes: under 1.5 MB, most of it pictures where there are some."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("manyways.comparison", "report")
    environment = Environment(
        autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = breakable
    comparison = without_places(comparison)
    conclusion = comparison.conclusion or conclude(comparison)
    environment.globals.update(
        say=wording, settings=settings, shares=shares, tips=_tips, most_columns=MOST_COLUMNS, most_letters=MOST_LETTERS
    )
    sheet = Sheet()
    environment.globals.update(
        dots_of=dots, map_words=map_words, points_of=lambda each: points(each, sheet), sheet=sheet
    )
    best = comparison.best
    return environment.get_template("page.html.jinja").render(
        comparison=comparison,
        data=comparison.data,
        conclusion=conclusion,
        ways=ways(comparison, conclusion),
        failed=[entry for entry in comparison.entries if entry.error is not None],
        pending=[entry for entry in comparison.entries if entry.error is None and not entry.scored],
        figures=_figures(comparison),
        looks=colours(comparison),
        legend=legend(comparison),
        label_chart=label_chart(comparison),
        curves=learning_curves(comparison),
        costs=costs(comparison),
        scatter=scatter(comparison),
        confusion=confusion_table(comparison),
        confused=confused_pairs(comparison),
        examples=drawn_examples(comparison),
        mistakes=fitting(best.mistakes) if best else (),
        best_title=next((entry.title for entry in comparison.entries if best and entry.name == best.name), ""),
        shelves=shelves(comparison),
        style=Markup(_palettes() + _resource("style.css")),
        script=Markup(_resource("script.js")),
    )


def breakable(title: str) -> "Markup":
    """`title` as HTML that may be broken where a method's text has a bracket, a comma or an equals sign."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(map(escape, wording.seams(title)))


def without_places(comparison: Comparison) -> Comparison:
    """`comparison` with each checkpoint by its name in settings and reasons; the command keeps what one must type."""
    places = [place for entry in comparison.entries for place in checkpoint_places(entry.hyperparameters)]
    names = sorted(checkpoint_names(places).items(), key=lambda item: -len(item[0]))

    def short(value: Any) -> Any:
        if isinstance(value, str):
            for place, name in names:
                value = value.replace(place, name)
            return value
        if isinstance(value, Mapping):
            return {key: short(each) for key, each in value.items()}
        return [short(each) for each in value] if isinstance(value, list | tuple) else value

    def shortened(entry: Entry) -> Entry:
        return replace(
            entry,
            hyperparameters=short(entry.hyperparameters),
            error=short(entry.error),
            caution=short(entry.caution),
        )

    if not names:
        return comparison
    conclusion = comparison.conclusion
    if conclusion is not None:
        conclusion = replace(conclusion, cautions=tuple(map(short, conclusion.cautions)))
    return replace(comparison, entries=tuple(map(shortened, comparison.entries)), conclusion=conclusion)


def settings(hyperparameters: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Nested `hyperparameters` in one list: ("network.width", 32), ("stages.1.batch_size", 64)."""
    for name, value in hyperparameters.items():
        several = isinstance(value, list | tuple)
        if isinstance(value, Mapping) and value:
            yield from settings(value, f"{within}{name}.")
        elif several and value and all(isinstance(each, Mapping) for each in value):
            for number, each in enumerate(value, 1):
                yield from settings(each, f"{within}{name}.{number}.")
        else:
            yield f"{within}{name}", ", ".join(map(str, value)) if several else value


def _figures(comparison: Comparison) -> list[tuple[str, str]]:
    """The few numbers at the top: (value, what it is)."""
    conclusion = comparison.conclusion or conclude(comparison)
    entries = {entry.name: entry for entry in comparison.ranked()}
    choice = entries.get(conclusion.recommended or "")
    if choice is None:
        return []
    metric = wording.metric_words(comparison.metric)
    figures = [(wording.score(comparison, choice.score), _called(metric, wording.margin(comparison, choice)))]
    apart = comparison.confirmed
    if apart is not None and apart.name == choice.name and apart.score is not None:
        rows = f"{metric} on {wording.count(apart.rows)} rows kept apart"
        figures.append((wording.score(comparison, apart.score), _called(rows, wording.margin(comparison, apart))))
    for name, called in BASELINES.items():
        plain = entries.get(name)
        if plain is not None and plain is not choice:
            how = f"{called}, {plain.bound}" if plain.bound else called
            figures.append((wording.score(comparison, plain.score), f"{metric} of {how}"))
    if choice.labels_equivalent is not None or wording.beyond_the_curve(choice):
        need = f"labels plain supervision would need{wording.labels_range(choice)}"
        figures.append((wording.bare_labels(choice), need))
    figures.append((wording.seconds(choice.seconds), "to train"))
    if choice.parameters is not None:
        figures.append((wording.quantity(choice.parameters), "parameters"))
    return figures


def _called(words: str, interval: str) -> str:
    """`words` on a figure, with its interval."""
    return f"{words} {interval}" if interval.startswith("±") else ", ".join(filter(None, (words, interval)))


def _tips(series: Series) -> str:
    return json.dumps([[tip.x, tip.y, tip.text] for tip in series.tips], ensure_ascii=False, separators=(",", ":"))


def _palettes() -> str:
    """The colours of entries as style sheet: a variable each, and the classes that take them."""
    light, dark = (
        "".join(f"--c{at}:{colour};" for at, colour in enumerate(palette, 1))
        for palette in (PALETTE_LIGHT, PALETTE_DARK)
    )
    classes = "".join(f".c{at}{{--look:var(--c{at})}}" for at in range(len(PALETTE_LIGHT) + 1))
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{classes}\n"


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
