"""`manyways verify`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from manyways.cli.arguments import OtherSource, Reading, parse
from manyways.cli.output import console

COLOURS = {"same": "green", "gone": "green", "differs": "bold red"}


@dataclass(frozen=True)
class Verify:
    """Learn again what a receipt says, and compare the weights.

    The rows that were forgotten are left out. Models that were left as they are and that others were made from must be
    in the store.
    """

    receipt: Annotated[Path, tyro.conf.Positional, arg(metavar="RECEIPT")]
    """The file that `manyways forget --receipt` wrote."""
    reading: tyro.conf.OmitArgPrefixes[Reading]
    data: OtherSource = None
    """What the models were learned from, where the receipt does not say where that is, or it is elsewhere now."""
    trust_functions: tyro.conf.FlagCreatePairsOff[bool] = False
    """Import the functions that methods name, such as rewards, on the receipt's word."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways verify`; the exit code is 0 if every model that could be checked is as the receipt says, else 1."""
    options = parse(Verify, "verify", arguments)
    from rich.table import Table

    from manyways.lineage.receipt import read_receipt
    from manyways.lineage.verify import UNABLE, verify

    receipt, out = read_receipt(options.receipt), console()
    data = options.reading.read(options.data) if options.data is not None else None
    forgotten = receipt["request"]["rows"]
    out.print(f"{options.receipt}: {forgotten:,} rows forgotten at {receipt['time']}", soft_wrap=True)
    found = verify(
        receipt, data=data, functions=options.trust_functions, follow=lambda title: out.print(f"learning {title} …")
    )
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("model", "how", "verdict", ""):
        table.add_column(name, overflow="fold")
    for each in found:
        table.add_row(each.title, each.how, each.verdict, each.note, style=COLOURS.get(each.verdict, ""))
    out.print()
    out.print(table)
    failed = sum(each.failed for each in found)
    unable = sum(each.verdict == UNABLE for each in found)
    said = f"{failed} of {len(found)} models are not as the receipt says." if failed else "The receipt holds"
    if not failed:
        said += f" for {len(found) - unable} of {len(found)} models; {unable} could not be checked." if unable else "."
    out.print(f"\n{said}", soft_wrap=True)
    return 1 if failed or unable else 0
