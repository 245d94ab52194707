"""`manyways methods`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import tyro

from manyways.cli.arguments import UNSAID, check_method_names, one, parse
from manyways.cli.output import console
from manyways.cli.wording import command_line

if TYPE_CHECKING:
    from rich.table import Table

    from manyways.methods.method import Method


@dataclass(frozen=True)
class Methods:
    """List all methods, or show one with its fields."""

    name: Annotated[str | None, tyro.conf.Positional, one(str, "a name", "[NAME]"), UNSAID] = None
    """The method to show; without one all are listed."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways methods`."""
    name = parse(Methods, "methods", arguments).name
    if name is None:
        _list()
        return 0
    check_method_names(name)
    from manyways.methods.discovery import find_method

    _show(find_method(name))
    return 0


def _list() -> None:
    from rich.text import Text

    from manyways.comparison.advise import one_line
    from manyways.methods.discovery import all_methods, paradigm

    out, table = console(), _table("method", "what it does", "needs")
    by_paradigm = sorted(all_methods().items(), key=lambda named: paradigm(named[1]))
    for title, group in groupby(by_paradigm, key=lambda named: paradigm(named[1])):
        table.add_row("")
        table.add_row(Text(title, "bold"))
        for name, kind in group:
            table.add_row(f"  {name}", one_line(kind), needs(kind))
    out.print(table)
    named, allowed = command_line("methods", "NAME"), command_line("advise", "DATA")
    out.print(f"\n`{named}` shows the fields of one and who described it, `{allowed}` which your data allows.")


def _show(kind: "type[Method]") -> None:
    from manyways.cli.method_fields import method_fields
    from manyways.methods.starts import starts
    from manyways.models.abilities import any_of

    name, out = kind.method_name(), console()
    out.print(f"{name} ({kind.__name__})\n")
    out.print(" ".join((kind.__doc__ or "").split()) + "\n")
    facts = {"needs": needs(kind), "gives": ", ".join(sorted(kind.gives)), "described in": kind.paper}
    method = kind()
    if kind.takes:
        start = f"a model that gives {any_of(kind.takes)}"
        checkpoint = ", or a checkpoint of transformers" if method.at_a_checkpoint() else ""
        facts["starts from"] = f"{start if kind.requires_model else f'nothing, or {start}'}{checkpoint}"
    for what, text in facts.items():
        if text:
            out.print(f"{what}: {text}", soft_wrap=True)
    table = _table("field", "default", "values", "what it is")
    for each in method_fields(kind):
        table.add_row(each.name, str(each.default), each.values, each.text)
    if table.rows:
        out.print()
        out.print(table)
    found = starts(kind.takes) if method.needs_start() else []
    written = f"{found[0]} >> {name}" if found else kind.written or name
    data = ["DATA"] if kind.needs else []
    out.print(f"\nType: {command_line('fit', written, *data, '--out', 'DIR')}")
    if method.needs_start() and method.at_a_checkpoint():
        out.print(f"or:   {command_line('fit', name, *data, '--checkpoint', 'FOLDER', '--out', 'DIR')}")


def needs(kind: "type[Method]") -> str:
    """The needs of a method, in words."""
    said = ", ".join(need.meaning for need in kind.needs) or "no data"
    return f"{said}, a model to start from" if kind.requires_model else said


def _table(*headings: str) -> "Table":
    from rich.table import Table

    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for at, heading in enumerate(headings):
        grid.add_column(heading, no_wrap=at == 0, overflow="fold")
    return grid
