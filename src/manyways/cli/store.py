"""`manyways store`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import arg

from manyways.cli.arguments import UNSAID, one, parse
from manyways.cli.output import check_model_folder, console
from manyways.errors import ParameterError

if TYPE_CHECKING:
    from manyways.lineage.store import store as stores


@dataclass(frozen=True)
class Store:
    """List the models that are kept, check them, or save one to a folder.

    list: all models, the oldest first. check: whether every file is there and as it was written, and what lies about
    that no model has. save: write MODEL to the folder --out.
    """

    action: Annotated[Literal["list", "check", "save"], tyro.conf.Positional, arg(metavar="{list,check,save}")]
    """Action."""
    model: Annotated[str | None, tyro.conf.Positional, arg(metavar="[MODEL]", help_behavior_hint="")] = None
    """The beginning of a model's id, to save it."""
    out: Annotated[Path | None, one(Path, "a folder", "DIR"), UNSAID] = None
    """Folder to save the model in; a model that is there is replaced."""
    remove_orphans: tyro.conf.FlagCreatePairsOff[bool] = False
    """Delete weights that no model has: what processes left behind that were killed."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways store`; `check` has the exit code 1 where something is wrong."""
    options = parse(Store, "store", arguments)
    if options.action != "save" and (options.model or options.out):
        raise ParameterError(f"`manyways store {options.action}` is of all models; leave MODEL and --out out.")
    if options.remove_orphans and options.action != "check":
        raise ParameterError("--remove-orphans belongs to `manyways store check`.")
    from manyways.lineage.store import store as stores

    store = stores.Store()
    if options.action == "list":
        return _list(store)
    return _check(store, options.remove_orphans) if options.action == "check" else _save(store, options)


def _list(store: "stores.Store") -> int:
    from manyways.cli.lineage import print_models

    records = store.models()
    print_models(console(), records, f"{len(records):,} models in {store.folder}")
    return 0


def _check(store: "stores.Store", remove: bool) -> int:
    report, out = store.check(remove_orphans=remove), console()
    out.print(f"{report.models:,} models with {report.weights:,} sets of weights in {store.folder}", soft_wrap=True)
    for problem in report.problems:
        out.print(f"wrong: {problem}", soft_wrap=True)
    for path in report.orphans:
        out.print(f"{'deleted' if report.removed else 'no model has'}: {path}", soft_wrap=True)
    if report.orphans and not report.removed:
        out.print("Delete those with --remove-orphans.")
    if report.unfinished is not None:
        out.print("A forgetting was begun and is not done. Type its command again, or manyways forget --abandon.")
    if report.whole:
        out.print("All is whole.")
    return 0 if report.whole else 1


def _save(store: "stores.Store", options: Store) -> int:
    if options.model is None or options.out is None:
        raise ParameterError("Name the model and the folder: manyways store save ID --out DIR.")
    check_model_folder(options.out)
    record = store.find(options.model)
    folder = store.load(record.id).save(options.out)
    console().print(f"{record.title} ({record.short}): {folder}", soft_wrap=True)
    if store.database.writable:
        store.note(record.id, copy=folder)
    else:
        console().print("The store is read-only, so it does not know of this copy: forgetting will not name it.")
    return 0
