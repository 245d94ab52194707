"""A comparison as one HTML file that opens offline."""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from manyways.comparison import wording
from manyways.comparison.conclusion import BASELINES, conclude
from manyways.comparison.report.charts import all_charts
from manyways.comparison.report.colours import colours
from manyways.comparison.report.exhibits import shares, shelves
from manyways.comparison.report.matrices import confused_pairs
from manyways.comparison.results import Comparison
from manyways.whole import write_whole


def write_report(comparison: Comparison, path: str | Path) -> Path:
    """Write `comparison` to `path` as one HTML file without any outside resource, whole or not at all.

    Raises DataError if the file cannot be written.
    """
    return write_whole(path, render_report(comparison))


def render_report(comparison: Comparison) -> str:
    """The text of the HTML file that `write_report` writes; about 5 MB, nearly all of it plotly.js."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    loader = PackageLoader("manyways.comparison", "report")
    environment = Environment(
        autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["script_json"] = lambda value: Markup(script_json(value))
    environment.filters["metric_words"] = wording.metric_words
    environment.globals.update(say=wording, settings=settings, shares=shares)
    charts = all_charts(comparison)
    return environment.get_template("page.html.jinja").render(
        comparison=comparison,
        data=comparison.data,
        conclusion=comparison.conclusion or conclude(comparison),
        ranked=comparison.ranked(),
        failed=[entry for entry in comparison.entries if entry.error is not None],
        pending=[entry for entry in comparison.entries if entry.error is None and not entry.scored],
        figures=_figures(comparison),
        colours=colours(comparison),
        confused=confused_pairs(comparison),
        shelves=shelves(comparison),
        charts={chart.key: chart for chart in charts},
        figures_json={chart.key: chart.figure for chart in charts},
        style=Markup(_resource("style.css")),
        script=Markup(_resource("script.js")),
        plotly=Markup(get_plotlyjs()) if charts else "",
    )


def script_json(value: Any) -> str:
    """`value` as JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def settings(hyperparameters: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Nested `hyperparameters` in one list: ("network.width", 32), ("stages.1.batch_size", 64)."""
    for name, value in hyperparameters.items():
        if isinstance(value, Mapping) and value:
            yield from settings(value, f"{within}{name}.")
        elif isinstance(value, tuple) and value and all(isinstance(each, Mapping) for each in value):
            for number, each in enumerate(value, 1):
                yield from settings(each, f"{within}{name}.{number}.")
        else:
            yield f"{within}{name}", ", ".join(map(str, value)) if isinstance(value, tuple) else value


def _figures(comparison: Comparison) -> list[tuple[str, str]]:
    """The few numbers at the top: (value, what it is)."""
    conclusion = comparison.conclusion or conclude(comparison)
    entries = {entry.name: entry for entry in comparison.ranked()}
    choice = entries.get(conclusion.recommended or "")
    if choice is None:
        return []
    metric = wording.metric_words(comparison.metric)
    figures = [(wording.score(comparison, choice.score), f"{metric} {wording.margin(comparison, choice)}".strip())]
    for name, called in BASELINES.items():
        plain = entries.get(name)
        if plain is not None and plain is not choice:
            how = f"{called}, {plain.bound}" if plain.bound else called
            figures.append((wording.score(comparison, plain.score), f"{metric} of {how}"))
    if choice.labels_equivalent is not None:
        figures.append((wording.count(choice.labels_equivalent), "labels plain supervision would need"))
    elif choice.labels_note.startswith("more than "):
        figures.append((f"> {choice.labels_note[10:]}", "labels plain supervision would need"))
    figures.append((wording.seconds(choice.seconds), "to train"))
    if choice.parameters is not None:
        figures.append((wording.quantity(choice.parameters), "parameters"))
    return figures


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
