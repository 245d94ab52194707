"""`manyways forget`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

from manyways.cli import INTERRUPTED
from manyways.cli.arguments import UNSAID, File, Functions, OtherSource, Reading, functions_of, one, parse
from manyways.cli.output import agreed, check_file, console, say
from manyways.cli.wording import as_typed
from manyways.errors import ParameterError, StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from manyways.lineage.forgetting.request import ForgettingResult
    from manyways.lineage.store.forgetting_plan import ForgettingPlan
    from manyways.lineage.store.store import Store


GOES_ON = "what is done is kept. Type the same command again to go on, or manyways forget --abandon to give up."


@dataclass(frozen=True)
class Forget:
    """Make every model forget some rows, or all of a person's, and write a receipt.

    Shows what is to be done with each model, what it costs and what it guarantees, and asks before anything changes.
    Interrupted, it goes on when the same command is typed again.
    """

    reading: tyro.conf.OmitArgPrefixes[Reading]
    subject: Annotated[str | None, one(str, "a name", "NAME"), UNSAID] = None
    """Subject whose rows are forgotten: the name as it stands in the column that has the role subject."""
    rows: File = None
    """The rows to be forgotten: a file with a row id on each line, or a table of the rows themselves."""
    data: OtherSource = None
    """Data that models were learned from, where they are elsewhere now or were in memory."""
    how: Annotated[str, one(str, "a word", "HOW")] = "exact"
    """exact: the quickest way that is exact; retrain: learn all again; or an approximate method, which is no proof."""
    delete: tyro.conf.FlagCreatePairsOff[bool] = False
    """Delete models that cannot forget."""
    other_versions: tyro.conf.FlagCreatePairsOff[bool] = False
    """Learn again under other versions than before, which need not give the same bits."""
    receipt: File = None
    """Write the receipt here; by default forgotten-N.json, with the first number that is free."""
    plan: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show the plan, and stop."""
    yes: tyro.conf.FlagCreatePairsOff[bool] = False
    """Do not ask."""
    abandon: tyro.conf.FlagCreatePairsOff[bool] = False
    """Give up a forgetting that was begun and is not done."""
    audit: Annotated[int | None, one(int, "a whole number", "N"), UNSAID] = None
    """Attack every model before and after, beside N reference models trained for each (8 is usual, 0 trains none), and
    put into the receipt how well the forgotten rows are told from test rows: evidence, not proof."""
    function: Functions = ()
    """A function that a method of a model names (a reward, an oracle): NAME is what it is called there, MODULE:FUNCTION
    where it is. What is named is never imported by itself."""
    sign: File = None
    """Sign the receipt with the private key in this file, which `manyways keys make` makes."""
    report: Annotated[Path | None, arg(metavar="FILE"), UNSAID] = None
    """Write what was done as one HTML file, with the family of the models."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways forget`."""
    options = parse(Forget, "forget", arguments)
    check_file("--receipt", options.receipt)
    check_file("--report", options.report)
    if options.abandon:
        return _abandon()
    if (options.subject is None) == (options.rows is None):
        raise ParameterError("Say what is to be forgotten: --subject NAME, or --rows FILE.")
    from manyways.lineage.audit.auditor import Auditor
    from manyways.lineage.forgetting.request import forget, plan_forgetting
    from manyways.lineage.forgetting.signature import read_key
    from manyways.lineage.store.store import Store
    from manyways.training.progress import ProgressBar

    store, out = Store(), console()
    functions, key = functions_of(options.function), read_key(options.sign) if options.sign is not None else None
    data = options.reading.read(options.data) if options.data is not None else None
    rows = named_rows(options.rows, store) if options.rows is not None else None
    if options.plan:
        print_plan(out, plan_forgetting(
            rows, subject=options.subject, data=data, how=options.how, store=store, delete=options.delete,
            other_versions=options.other_versions, functions=functions,
        ))  # fmt: skip
        return 0
    audit = Auditor(options.audit, functions=functions) if options.audit is not None else None
    path = options.receipt or free_name(Path("forgotten.json"))

    def agree(plan: "ForgettingPlan") -> bool:
        print_plan(out, plan)
        return options.yes or confirmed(plan)

    try:
        with ProgressBar() as bar:
            done = forget(
                rows=rows, subject=options.subject, data=data, how=options.how, store=store, delete=options.delete,
                other_versions=options.other_versions, receipt=path, agree=agree, audit=audit, listeners=[bar],
                functions=functions, sign=key,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(f"\ninterrupted: {_left(store)}")
        return INTERRUPTED
    print_result(out, done)
    if options.report is not None:
        from manyways.lineage.forgetting.receipt_report import write_report

        out.print(f"{'report':<10}{write_report(done.receipt, options.report)}", soft_wrap=True)
    return 0


def print_plan(out: "Console", plan: "ForgettingPlan") -> None:
    """A plan as a table: how each model forgets, at what cost, with which guarantee."""
    from rich.table import Table

    from manyways.training.progress import duration

    whose = f" of {plan.subject}" if plan.subject is not None else ""
    count = f"{plan.rows_text}{whose}"
    if not plan.steps:
        out.print(f"{count} reached no model. They leave the store's lists.", soft_wrap=True)
        return
    out.print(f"{count} reached {len(plan.steps):,} {'model' if len(plan.steps) == 1 else 'models'}:", soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("id", "model", "rows", "how", "cost", "guarantee"):
        table.add_column(name, no_wrap=name in ("id", "rows", "cost"), overflow="fold")
    for step in plan.steps:
        cost = f"{step.steps:,} steps, {duration(step.seconds)}" if step.steps else "little"
        how = f"{step.how}: {as_typed(step.note)}" if step.note else step.how
        rows = f"{step.rows:,} of {step.given:,}" if step.rows else "through others"
        table.add_row(step.short, step.title, rows, how, cost, step.guarantee)
    out.print()
    out.print(table)
    total = sum(step.seconds for step in plan.steps)
    out.print(f"\nIn all about {duration(total)}, by what training took before.", soft_wrap=True)
    for path in plan.copies:
        out.print(f"A copy outside of the store will hold the model as it was: {path}", soft_wrap=True)


def confirmed(plan: "ForgettingPlan") -> bool:
    """True if the person at the terminal agrees. Raises StoreError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise StoreError("Nobody can be asked whether to carry this out. Nothing was changed. Agree to it with --yes.")
    return agreed(f"Carry this out? The {len(plan.steps)} models as they are now will be gone.")


def print_result(out: "Console", done: "ForgettingResult") -> None:
    """Print what was done, and what is left to do for others."""
    from manyways.lineage.forgetting.receipt_search import receipt_rows_text

    receipt = done.receipt
    if done.resumed:
        out.print("Finished what was begun before.")
    if done.already:
        out.print(f"This has been carried out already, at {receipt['time']}. Nothing is left to do.", soft_wrap=True)
    models = receipt.get("models", [])
    replaced = [model for model in models if model["after"]]
    out.print()
    for model in replaced:
        before, after = model["before"]["id"][:10], model["after"]["id"][:10]
        out.print(f"{before} → {after}  {model['title']}: {model['how']}, {model['guarantee']}", soft_wrap=True)
    for model in models:
        if not model["after"]:
            out.print(f"{model['before']['id'][:10]} deleted  {model['title']}", soft_wrap=True)
    out.print(f"{'forgotten':<10}{receipt_rows_text(receipt)}; the store holds nothing of them", soft_wrap=True)
    for line in audit_lines(receipt):
        out.print(line, soft_wrap=True)
    if done.receipt_path is not None:
        out.print(f"{'receipt':<10}{done.receipt_path}", soft_wrap=True)
    for path in receipt.get("copies", []):
        out.print(f"{'copy':<10}{path} holds a model as it was: delete it, or save a new one there", soft_wrap=True)
    if replaced:
        newest = replaced[-1]["after"]["id"][:10]
        out.print(f"\nType next:\n  manyways store save {newest} --out DIR", soft_wrap=True)
        if done.receipt_path is not None:
            out.print(f"  manyways verify {done.receipt_path}", soft_wrap=True)


def audit_lines(receipt: Mapping[str, Any]) -> list[str]:
    """The AUC of each attack on each model, before and after, or why there is none."""
    lines = []
    for entry in receipt.get("audit") or ():
        title = receipt["models"][entry["model"]]["title"]
        if "error" in entry:
            lines.append(f"{'audit':<10}{title}: {entry['error']}")
            continue
        for attack in entry["after"]["attacks"]:
            areas = []
            for when in ("before", "after", "retrained"):
                for said in entry.get(when, {}).get("attacks", ()):
                    if said["name"] == attack["name"]:
                        areas.append(f"{when} {said['auc']['value']:.3f}")
            lines.append(f"{'audit':<10}{title}, {attack['name']}: AUC {', '.join(areas)} (0.5 is chance)")
    return [*lines, f"{'':<10}An audit is evidence, not proof."] if lines else []


def named_rows(path: Path, store: "Store") -> "NDArray[np.uint64]":
    """The ids of the rows in a file: an id on each line, or a table of the rows as the store's data was read.

    Raises StoreError where it is neither.
    """
    from manyways.data.columns import ids_from_text

    try:
        return ids_from_text(path.read_text(encoding="utf-8").split())
    except (ValueError, UnicodeDecodeError):
        return store.rows_like(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def free_name(path: Path) -> Path:
    """`path`, or with the first number at which there is no such file."""
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, 1_000_000))
    return next(name for name in names if not name.exists())


def _left(store: "Store") -> str:
    """Message about what an interrupted forgetting leaves behind, and how to go on."""
    from manyways.lineage.store.journal import Journal

    if store.database.exists:
        with store.database.reading() as db:
            begun = Journal.pending(db)
        if begun is not None:
            return GOES_ON
    return "nothing was changed."


def _abandon() -> int:
    from manyways.lineage.forgetting.request import abandon

    done = abandon()
    console().print("Given up; all models are as they were." if done else "No forgetting has been begun.")
    return 0
