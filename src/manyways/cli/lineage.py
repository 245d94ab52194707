"""`manyways lineage`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import arg

from manyways.cli.arguments import UNSAID, File, one, parse
from manyways.cli.output import DESCRIPTION, check_file, console
from manyways.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.tree import Tree

    from manyways.lineage.store.family_tree import Member
    from manyways.lineage.store.model_record import ModelRecord
    from manyways.lineage.store.store import Store

SHOWN, MOST = 12, 40


@dataclass(frozen=True)
class Lineage:
    """Show what a model was made from, and which models some rows or a person reached.

    A model is reached by the rows that it was given to learn from or to stop by, and by those that reached what it was
    made from.
    """

    model: Annotated[str | None, tyro.conf.Positional, arg(metavar="[MODEL]", help_behavior_hint="")] = None
    """Folder of a model, or the beginning of its id; `manyways store list` shows all."""
    row: Annotated[str | None, one(str, "a row id", "ID"), UNSAID] = None
    """A row, by its id of 32 hexadecimal digits: which models did it reach?"""
    subject: Annotated[str | None, one(str, "a name", "NAME"), UNSAID] = None
    """Somebody whose data rows are: which models did they reach?"""
    picture: File = None
    """Draw the family into this SVG file."""
    subjects: tyro.conf.FlagCreatePairsOff[bool] = False
    """List every subject whose rows reached the model."""
    rows: File = None
    """Write the ids of the rows that reached the model into this file, one a line."""
    all: tyro.conf.FlagCreatePairsOff[bool] = False
    """List all models that were reached, not the newest alone."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways lineage`."""
    options = parse(Lineage, "lineage", arguments)
    check_file("--picture", options.picture)
    check_file("--rows", options.rows)
    questions = options.row is not None or options.subject is not None
    if options.model is None and not questions:
        raise ParameterError("Name a MODEL, or what is to be looked for: --subject NAME or --row ID.")
    if options.row is not None and options.subject is not None:
        raise ParameterError("--row and --subject are two questions; ask them one after the other.")
    if options.model is None and (options.picture or options.subjects or options.rows):
        raise ParameterError("--picture, --subjects and --rows are of one model. Name it: manyways lineage MODEL.")
    from manyways.lineage.store.model_record import saved_lineage
    from manyways.lineage.store.store import Store

    store = Store()
    if questions or options.model is None:
        return _reached(store, options)
    folder = Path(options.model)
    if (folder / DESCRIPTION).is_file() and store.find_lineage(saved_lineage(folder)) is None:
        _show_folder(folder, options)
    else:
        _show(store, store.find(options.model), options)
    return 0


def _reached(store: "Store", options: Lineage) -> int:
    from manyways.data.columns import ids_from_text

    ids = None
    if options.row is not None:
        try:
            ids = ids_from_text([options.row])
        except ValueError as error:
            raise ParameterError(f"--row must be an id of 32 hexadecimal digits; got {options.row!r}.") from error
    records = store.reached(rows=ids, subject=options.subject)
    out = console()
    who = f"{options.subject!r}" if options.subject is not None else "The row"
    if options.model is not None:
        record = store.find(options.model)
        reached = any(each.id == record.id for each in records)
        out.print(f"{who} {'reached' if reached else 'did not reach'} {record.title} ({record.short}).")
        return 0
    heading = f"{who} reached {len(records):,} {'model' if len(records) == 1 else 'models'}."
    print_models(out, records, heading, most=None if options.all else MOST)
    return 0


def print_models(out: "Console", records: "Sequence[ModelRecord]", heading: str, most: int | None = None) -> None:
    """Models as a table under `heading`; the newest alone where there are more than `most`."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("id", "model", "data", "made", "forgotten"):
        table.add_column(name, no_wrap=name in ("id", "made"), overflow="fold")
    for record in records[-most:] if most is not None else records:
        forgotten = f"{record.forgotten:,} rows" if record.forgotten else ""
        table.add_row(record.short, record.title, record.lineage["data"], record.created[:16], forgotten)
    out.print(heading, soft_wrap=True)
    if records:
        out.print()
        out.print(table)
    if most is not None and len(records) > most:
        out.print(f"These are the newest {most}; --all shows the other {len(records) - most:,}, too.")


def _show(store: "Store", record: "ModelRecord", options: Lineage) -> None:
    from manyways.lineage.store.family_tree import ancestors, descendants

    records = {each.id: each for each in store.models()}
    before, after = ancestors(record, records, store.stage_hashes()), descendants(record, records)
    out = console()
    out.print(tree_of(before, f"{record.title}  [{record.short}]"))
    if after.relatives:
        out.print()
        out.print(tree_of(after, "what was made from it"))
    out.print()
    rows = store.rows_of(record.id)
    subjects = store.subjects_of(record.id)
    lines = [("rows", f"{len(rows):,} reached it")]
    if subjects:
        most = sorted(subjects, key=lambda name: (-subjects[name], name))
        shown = most if options.subjects else most[:SHOWN]
        more = f", … ({len(most) - len(shown):,} more: --subjects)" if len(most) > len(shown) else ""
        names = ", ".join(f"{name} ({subjects[name]:,})" for name in shown)
        lines.append(("subjects", f"{len(subjects):,}: {names}{more}"))
    lines += [("copy", path) for path in record.copies]
    for what, text in lines:
        out.print(f"{what:<10}{text}", soft_wrap=True)
    _write(options, [before], [after], rows, out)


def _show_folder(folder: Path, options: Lineage) -> None:
    """Show the lineage of a model that is not in the store."""
    from manyways.lineage.store.family_tree import lineage_tree
    from manyways.lineage.store.model_record import saved_lineage

    lineage = saved_lineage(folder)
    root, rows, out = lineage_tree(lineage.to_json()), lineage.all_rows(), console()
    out.print(tree_of(root, f"{root.title}  [{folder}]"))
    out.print()
    out.print(f"{'rows':<10}{len(rows):,} shaped it", soft_wrap=True)
    out.print(f"{'store':<10}it is not in the store, or is there no longer; so says its folder", soft_wrap=True)
    _write(options, [root], [], rows, out)


def _write(
    options: Lineage, before: "Sequence[Member]", after: "Sequence[Member]", rows: "NDArray[np.uint64]", out: "Console"
) -> None:
    """Write the files that were asked for."""
    from manyways.whole import write_whole

    if options.picture is not None:
        from manyways.lineage.store.family_svg import family_svg

        out.print(f"{'picture':<10}{write_whole(options.picture, family_svg(before, after))}", soft_wrap=True)
    if options.rows is not None:
        from manyways.data.columns import id_text

        write_whole(options.rows, "".join(f"{id_text(each)}\n" for each in rows))
        out.print(f"{'row ids':<10}{options.rows}", soft_wrap=True)


def tree_of(root: "Member", title: str) -> "Tree":
    """A family as a tree for the terminal, under `title`."""
    from rich.text import Text
    from rich.tree import Tree

    def add(tree: "Tree", member: "Member") -> None:
        for relative in member.relatives:
            label = Text(f"{relative.role}: " if relative.role else "", style="dim")
            label.append(relative.title, style="bold" if relative.id else "italic")
            label.append(f"  [{relative.id[:10]}]" if relative.id else "  (not in the store)", style="dim")
            if relative.summary:
                label.append(f"  {relative.summary}", style="dim")
            if relative.repeated:
                label.append("  (see above)", style="dim")
            add(tree.add(label), relative)

    heading = Text(title, style="bold")
    if root.summary:
        heading.append(f"  {root.summary}", style="dim")
    made = Tree(heading, guide_style="dim")
    add(made, root)
    return made
