"""A comparison as text for the terminal."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from manyways.comparison import wording
from manyways.comparison.conclusion import conclude
from manyways.comparison.results import Comparison, Entry
from manyways.comparison.wording import score_range

GAP = 2
INDENT = "  "
NAME_HEADING = "way of learning"
NARROWEST_NAME = 26
NAME_SHARE = 0.34
"""Of the terminal that long names may have before columns go."""
STRIP = range(9, 29)
FIRST_TO_GO = ("memory", "size", "strip")
LAST_TO_GO = ("labels worth", "time")


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading and what it says of an entry."""

    key: str
    heading: str
    cell: Callable[[Entry], str]
    right: bool = True


@dataclass(frozen=True)
class ComparisonTable:
    """The result of `render_table`: rich asks it to draw itself in the width at hand."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the entries best first, then those without a score, then the conclusion."""
        width = options.max_width
        ranked = self.comparison.ranked()
        if ranked:
            columns = self._fitting(ranked, width)
            yield self._table(ranked, columns, width, options.ascii_only)
            if legend := self._legend(columns):
                yield Text(legend, style="dim")
        yield from self._without_score()
        yield from self._conclusion()

    def _fitting(self, ranked: list[Entry], width: int) -> dict[str, int]:
        """The keys of the columns that fit into `width` cells beside the names, with their widths."""
        widths = {column.key: _width(column, ranked) for column in self._columns(ranked)}
        name_width = max(cell_len(name_of(entry)) + len(INDENT) for entry in ranked)
        name_width = max(name_width, cell_len(NAME_HEADING))
        least = max(NARROWEST_NAME, round(NAME_SHARE * width))
        for key in (*FIRST_TO_GO, *self.comparison.beside[::-1], *LAST_TO_GO):
            if min(name_width, least) + sum(GAP + size for size in widths.values()) <= width:
                break
            widths.pop(key, None)
        if "strip" in widths:
            spare = width - name_width - sum(GAP + size for size in widths.values())
            widths["strip"] = min(max(widths["strip"] + spare, STRIP.start), STRIP.stop - 1)
        return widths

    def _table(self, ranked: list[Entry], widths: dict[str, int], width: int, ascii_only: bool) -> Table:
        conclusion = self.comparison.conclusion or conclude(self.comparison)
        columns = [column for column in self._columns(ranked) if column.key in widths]
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
        table.add_column(NAME_HEADING, overflow="fold")
        name_width = max(width - sum(GAP + size for size in widths.values()), NARROWEST_NAME)
        for column in columns:
            heading = self._axis(widths["strip"]) if column.key == "strip" else column.heading
            table.add_column(heading, justify="right" if column.right else "left", no_wrap=True)
        low, high = score_range(self.comparison)
        for entry in ranked:
            taken = entry.name == conclusion.recommended
            mark = (">" if ascii_only else "▸") if taken else " "
            lines = broken(name_of(entry), name_width - len(INDENT))
            cells = [f"{mark} " + f"\n{INDENT}".join(lines)]
            for column in columns:
                strip = column.key == "strip"
                cells.append(_strip(entry, low, high, widths["strip"], ascii_only) if strip else column.cell(entry))
            style = "bold" if taken else "dim" if entry.reference else ""
            table.add_row(*(Text(cell) for cell in cells), style=style)
        return table

    def _columns(self, ranked: list[Entry]) -> list[Column]:
        comparison = self.comparison
        metric = wording.metric_words(comparison.metric)
        columns = [
            Column("score", metric, lambda entry: wording.score(comparison, entry.score)),
            Column("margin", "", lambda entry: wording.margin(comparison, entry), right=False),
            Column("strip", " " * STRIP.start, lambda entry: "", right=False),
            Column("labels worth", "labels worth", wording.short_labels),
            *(Column(each, wording.metric_words(each), _beside(each)) for each in comparison.beside),
            Column("time", "time", lambda entry: wording.seconds(entry.seconds)),
            Column("memory", "memory", lambda entry: wording.megabytes(entry.peak_memory_mb)),
            Column("size", "parameters", lambda entry: wording.quantity(entry.parameters)),
        ]
        blank = {"", wording.MISSING}
        return [
            column
            for column in columns
            if column.key == "score"
            or (column.key == "strip" and len(ranked) > 1)
            or any(column.cell(entry) not in blank for entry in ranked)
        ]

    def _legend(self, columns: Iterable[str]) -> str:
        lines = []
        if "margin" in columns:
            over = wording.interval_over(self.comparison)
            lines.append(f"beside the score: {self.comparison.confidence:.0%} interval of the mean over {over}")
        if "labels worth" in columns:
            lines.append("labels worth: labels that plain supervision needs for the same score")
        ranked = self.comparison.ranked()
        if "time" in columns and any(entry.steps for entry in ranked) and not all(entry.steps for entry in ranked):
            lines.append("time: of the steps, or where there are none of the whole fit")
        return "; ".join(lines)

    def _axis(self, width: int) -> str:
        low, high = (wording.score(self.comparison, end) for end in score_range(self.comparison))
        if cell_len(low) + cell_len(high) + 1 > width:
            return ""
        return low + " " * (width - cell_len(low) - cell_len(high)) + high

    def _without_score(self) -> Iterable[RenderableType]:
        rest = [entry for entry in self.comparison.entries if not entry.scored]
        if not rest:
            return
        yield Text()
        for entry in rest:
            reason = f"failed: {wording.reason(entry)}" if entry.error is not None else "not finished"
            lines = Table.grid(padding=(0, GAP, 0, 0))
            lines.add_column(no_wrap=True)
            lines.add_column(overflow="fold")
            lines.add_row(Text(f"x {entry.title}"), Text(reason))
            yield lines

    def _conclusion(self) -> Iterable[RenderableType]:
        conclusion = self.comparison.conclusion or conclude(self.comparison)
        yield Text()
        yield Text(conclusion.title, style="bold")
        for sentence in (*conclusion.sentences, *conclusion.cautions):
            yield Padding(Text(sentence), (0, 0, 0, 2))


def name_of(entry: Entry) -> str:
    """The title of `entry` in the table, with the words that qualify its score."""
    marks = [*(["reference"] if entry.reference else []), *wording.marks(entry)]
    return f"{entry.title} ({'; '.join(marks)})" if marks else entry.title


def broken(title: str, width: int) -> list[str]:
    """`title` in lines of at most `width` cells, broken at its seams where it can be."""
    lines = [""]
    for part in wording.seams(title):
        if lines[-1] and cell_len((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while cell_len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines if line]


def render_table(comparison: Comparison) -> ComparisonTable:
    """`comparison` as something rich can print: entries best first, failures with reasons, the conclusion.

    Narrow terminals lose the memory, the size, the picture of the intervals, further metrics, the labels and the time,
    in this order. Nothing depends on colour. A missing conclusion is drawn from the numbers.
    """
    return ComparisonTable(comparison)


def _beside(metric: str) -> Callable[[Entry], str]:
    return lambda entry: wording.measured(metric, entry.metrics.get(metric))


def _width(column: Column, entries: list[Entry]) -> int:
    return max(cell_len(text) for text in (column.heading, *(column.cell(entry) for entry in entries)))


def _strip(entry: Entry, low: float, high: float, width: int, ascii_only: bool) -> str:
    """The interval of `entry` as a line, its mean as a dot; `width` cells run from `low` to `high`."""
    line, dot, below, above = ("-", "o", "<", ">") if ascii_only else ("─", "●", "◂", "▸")

    def cell(value: float | None) -> int:
        share = 0.5 if value is None or high == low else (value - low) / (high - low)
        return round(min(max(share, 0.0), 1.0) * (width - 1))

    cells = [" "] * width
    if entry.low is not None and entry.high is not None:
        start, stop = cell(entry.low), cell(entry.high) + 1
        cells[start:stop] = line * (stop - start)
    score = entry.score if entry.score is not None else low
    cells[cell(score)] = dot if low <= score <= high else below if score < low else above
    return "".join(cells)
