"""`manyways verify`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import arg

from manyways.cli.arguments import UNSAID, File, Functions, OtherSource, Reading, functions_of, one, parse
from manyways.cli.output import agreed, console
from manyways.cli.wording import as_typed
from manyways.errors import StoreError
from manyways.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from manyways.lineage.forgetting.verification import Verification

COLOURS = {"same": "green", "gone": "green", "differs": "bold red"}


@dataclass(frozen=True)
class Verify:
    """Learn again what a receipt says, and compare the weights.

    The rows that were forgotten are left out. What the receipt would have this machine read is said first, and asked
    about. Models that were left as they are and that others were made from must be in the store. The exit code is 0
    only if all was checked and is as it says.
    """

    receipt: Annotated[Path, tyro.conf.Positional, arg(metavar="RECEIPT")]
    """The file that `manyways forget --receipt` wrote."""
    reading: tyro.conf.OmitArgPrefixes[Reading]
    data: OtherSource = None
    """Data that the models were learned from, where the receipt does not name them, or they are elsewhere now."""
    rows: File = None
    """The rows that were to be forgotten as you know them, a row id on each line: the receipt must name them all."""
    model: Annotated[Path | None, one(Path, "a folder", "DIR"), UNSAID] = None
    """Say, too, whether the model in this folder is a model of the receipt: whether it is what is deployed."""
    store: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say, too, whether what stands in the store here is as the receipt says."""
    key: Annotated[str | None, one(str, "a file", "PUBLIC"), UNSAID] = None
    """The public key that the receipt must be signed with: a file, or 64 hexadecimal digits."""
    function: Functions = ()
    """A function that a method in the receipt names (a reward, an oracle): NAME is what it is called there,
    MODULE:FUNCTION which of yours it is. What the receipt names is never imported by itself."""
    yes: tyro.conf.FlagCreatePairsOff[bool] = False
    """Let it read what the receipt names; do not ask."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways verify`; the exit code is 0 if all that the receipt says was checked and is so, else 1."""
    options = parse(Verify, "verify", arguments)
    from manyways.lineage.forgetting.receipt import read_receipt
    from manyways.lineage.forgetting.signature import check_signature, read_public
    from manyways.lineage.forgetting.verification import expected_rows, receipt_sources, verify

    key, out = read_public(options.key) if options.key is not None else None, console()
    receipt = read_receipt(options.receipt, exact=key is not None)
    if key is not None:
        check_signature(receipt, key)
    rows = expected_rows(options.rows) if options.rows is not None else None
    functions = functions_of(options.function)
    data = options.reading.read(options.data) if options.data is not None else None
    whose = (
        f" of {visible(receipt['request']['subject'], one_line=True)}"
        if receipt["request"]["subject"] is not None
        else ""
    )
    count = receipt["request"]["rows"]
    out.print(f"{options.receipt}: {count:,} rows{whose} forgotten at {receipt['time']}", soft_wrap=True)
    sources, steps = receipt_sources(receipt, data)
    if sources:
        _ask(options.receipt, sources, len(receipt["models"]), steps, options.yes)
    verification = verify(
        options.receipt, data=data, functions=functions, allow=sources, model=options.model, in_store=options.store,
        rows=rows, key=key,
        follow=lambda title: out.print(f"learning {visible(title, one_line=True)} …", soft_wrap=True),
    )  # fmt: skip
    _print(out, verification)
    if "signature" in receipt and key is None:
        signer = receipt["signature"]["public_key"]
        out.print(f"It says that {signer} signed it, which was not checked: --key PUBLIC", soft_wrap=True)
    return 0 if verification.holds else 1


def _ask(receipt: Path, sources: Sequence[str], count: int, steps: int, yes: bool) -> None:
    """Say what will be read, and go on where somebody agrees. Raises StoreError where nobody does."""
    listed = "".join(f"\n  {visible(source, one_line=True)}" for source in sources)
    question = f"{receipt} has this machine read, by path or else from the Hugging Face Hub:{listed}"
    what = f"and learn {count} {'model' if count == 1 else 'models'}, for {steps:,} steps in all."
    if yes:
        print(f"{question}\n{what}", flush=True)
        return
    if not sys.stdin.isatty():
        raise StoreError(f"{question}\n{what} Nobody can be asked. Nothing was read. Agree to it with --yes.")
    print(f"{question}\n{what}", flush=True)
    if not agreed("Go on?"):
        raise StoreError("Nothing was read, and nothing is shown: it was not agreed to.")


def _print(out: "Console", verification: "Verification") -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("model", "how", "verdict", ""):
        table.add_column(name, overflow="fold")
    for each in verification.models:
        told = (each.title, each.how, each.verdict, as_typed(each.note))
        table.add_row(*map(visible, told), style=COLOURS.get(each.verdict, ""))
    out.print()
    if verification.models:
        out.print(table)
    for check in verification.checks:
        style = "green" if check.passed else "bold red"
        out.print(f"{check.what:<10}{visible(as_typed(check.note), one_line=True)}", style=style, soft_wrap=True)
    out.print(f"\n{visible(as_typed(verification.conclusion), one_line=True)}", soft_wrap=True)
