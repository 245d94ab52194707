"""Charts of the best entry's predictions: the confusion matrix and, for numbers, predicted against true."""

from html import escape

from manyways.comparison.report.colours import GREY, colours
from manyways.comparison.report.parts import MARGIN, Chart
from manyways.comparison.results import Comparison

MOST_WITH_COUNTS = 15
LONGEST_CLASS = 24


def confusion_chart(comparison: Comparison) -> Chart | None:
    """Rows are true classes, columns predictions; the colour is the share of the row."""
    if comparison.best is None or comparison.best.confusion is None:
        return None
    confusion = comparison.best.confusion
    size = len(confusion.classes)
    shares = [[cell / max(sum(row), 1) for cell in row] for row in confusion.counts]
    names = [escape(name, quote=False) for name in confusion.classes]
    short = [escape(_cut(name), quote=False) for name in confusion.classes]
    heat = {
        "type": "heatmap",
        "z": shares,
        "zmin": 0,
        "zmax": 1,
        "xgap": 2 if size <= MOST_WITH_COUNTS else 0.5,
        "ygap": 2 if size <= MOST_WITH_COUNTS else 0.5,
        "showscale": False,
        "customdata": [
            [[names[truth], names[guess], count] for guess, count in enumerate(row)]
            for truth, row in enumerate(confusion.counts)
        ],
        "hovertemplate": "true %{customdata[0]}, predicted %{customdata[1]}<br>"
        "%{customdata[2]:,} rows, %{z:.1%} of that class<extra></extra>",
    }
    if size <= MOST_WITH_COUNTS:
        heat["text"] = [[f"{count:,}" if count else "" for count in row] for row in confusion.counts]
        heat["texttemplate"] = "%{text}"
    cell = 44 if size <= MOST_WITH_COUNTS else max(9, min(26, 800 // size))
    points = 12 if cell >= 18 else 8
    letters = max(len(_cut(name)) for name in confusion.classes)
    side = max(size * cell, 150)
    slanted = letters > 4 and size > 5
    edge = 46 + round(0.6 * points * letters)
    axis = {"tickvals": list(range(size)), "showgrid": False, "ticktext": short, "ticks": ""}
    font = {"tickfont": {"size": points}}
    layout = {
        "width": side + edge + 8,
        "height": side + 40 + (edge if slanted else 26),
        "margin": {"l": edge, "r": 8, "t": 8, "b": 32 + (edge if slanted else 26)},
        "xaxis": {**axis, **font, "title": {"text": "predicted"}, "tickangle": -90 if slanted else 0},
        "yaxis": {**axis, **font, "title": {"text": "true"}, "autorange": "reversed"},
    }
    return Chart("confusion", {"data": [heat], "layout": layout})


def confused_pairs(comparison: Comparison, most: int = 8) -> list[tuple[str, str, int]]:
    """The (true class, predicted class, test rows) that are confused most often, at most `most` of them."""
    if comparison.best is None or comparison.best.confusion is None:
        return []
    names, counts = comparison.best.confusion.classes, comparison.best.confusion.counts
    pairs = [
        (names[truth], names[guess], count)
        for truth, row in enumerate(counts)
        for guess, count in enumerate(row)
        if count and truth != guess
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


def scatter_chart(comparison: Comparison) -> Chart | None:
    """Predicted against true values; on the line, a prediction is right."""
    best = comparison.best
    if best is None or not best.scatter:
        return None
    look = colours(comparison)[best.name]
    values = [value for pair in best.scatter for value in pair]
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 1.0
    ends = [low - room, high + room]
    line = {
        "x": ends,
        "y": ends,
        "mode": "lines",
        "line": {"color": GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    points = {
        "x": [truth for truth, _ in best.scatter],
        "y": [predicted for _, predicted in best.scatter],
        "mode": "markers",
        "marker": {"size": 7, "color": look.faint(0.6)},
        "hovertemplate": "true %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
    }
    label = escape(comparison.data.label, quote=False)
    layout = {
        "height": 520,
        "margin": MARGIN,
        "xaxis": {"title": {"text": f"true {label}"}, "range": ends, "automargin": True},
        "yaxis": {"title": {"text": f"predicted {label}"}, "range": ends, "automargin": True},
    }
    return Chart("scatter", {"data": [line, points], "layout": layout})


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_CLASS else name[: LONGEST_CLASS - 1] + "…"
