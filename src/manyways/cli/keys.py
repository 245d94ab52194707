"""`manyways keys`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from manyways.cli.arguments import File, parse
from manyways.cli.output import console
from manyways.errors import ParameterError


@dataclass(frozen=True)
class Keys:
    """Make a key to sign receipts with, or sign a receipt.

    make FILE: a private key in FILE, which you alone may read, and the public key in FILE.pub, for others. sign RECEIPT
    --key FILE: sign a receipt that was written without a signature.
    """

    action: Annotated[Literal["make", "sign"], tyro.conf.Positional, arg(metavar="{make,sign}")]
    """Action."""
    file: Annotated[Path, tyro.conf.Positional, arg(metavar="FILE")]
    """File for the private key; or the receipt."""
    key: File = None
    """The private key to sign with."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways keys`."""
    options = parse(Keys, "keys", arguments)
    from manyways.comparison.records import write_whole
    from manyways.lineage.forgetting.receipt import read_receipt, receipt_json
    from manyways.lineage.forgetting.signature import read_key, sign_receipt, write_key_pair

    out = console()
    if options.action == "make":
        if options.key is not None:
            raise ParameterError("`manyways keys make FILE` makes a new key; leave --key out.")
        private, public = write_key_pair(options.file)
        out.print(f"{'private':<10}{private}  keep it to yourself: manyways forget … --sign {private}", soft_wrap=True)
        out.print(f"{'public':<10}{public}  for others: manyways verify RECEIPT --key {public}", soft_wrap=True)
        return 0
    if options.key is None:
        raise ParameterError("Say which key is to sign: `manyways keys sign RECEIPT --key FILE`.")
    receipt = sign_receipt(read_receipt(options.file), read_key(options.key))
    write_whole(options.file, receipt_json(receipt))
    out.print(f"{options.file} is signed by {receipt['signature']['public_key']}", soft_wrap=True)
    return 0
