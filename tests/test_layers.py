"""Layers: a package imports itself and lower ones alone, at run time, for types, and inside functions."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import manyways

pytestmark = pytest.mark.quick

ROOT = Path(manyways.__file__).parent
BASE = "the base"
ORDER: tuple[tuple[str, ...], ...] = (
    (BASE,), ("data",), ("models",), ("training",), ("methods",), ("lineage",), ("comparison",), ("serving",),
    ("cli", "sklearn", "testing"),
)  # fmt: skip
"""Packages from the lowest to the highest; those of one line do not import each other. The base are all other files."""
WITHIN_LINEAGE: tuple[tuple[str, ...], ...] = (("terms",), ("store",), ("audit", "forgetting"))
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where statements have further statements."""
SHOWN = "; ".join(" and ".join(line) for line in ORDER)


@dataclass(frozen=True)
class Import:
    """An import statement: the module `source` imports `target` in `line`; `eager`: as it is imported itself."""

    source: str
    line: int
    target: str
    eager: bool


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package but its `__init__`, which loads names lazily, by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name and name != "__main__":
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of a module of the package, wherever it stands."""
    return tuple(each for name, tree in modules().items() for each in found_in(name, tree, True))


def found_in(source: str, node: ast.AST, eager: bool) -> Iterator[Import]:
    """The imports in `node`, a part of the module `source`."""
    if isinstance(node, ast.ImportFrom):
        assert not node.level, f"{source} imports relatively in line {node.lineno}"
        if node.module == "manyways" or str(node.module).startswith("manyways."):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}".removeprefix("manyways.")
                named = whole if whole in modules() else str(node.module).removeprefix("manyways").removeprefix(".")
                yield Import(source, node.lineno, named, eager)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] == "manyways":
                yield Import(source, node.lineno, alias.name.removeprefix("manyways").removeprefix("."), eager)
    lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for block in BLOCKS:
        for child in getattr(node, block, ()):
            yield from found_in(source, child, eager and not lazy and not typing)


def rank(package: str, order: tuple[tuple[str, ...], ...]) -> int:
    """The place of `package` in `order`."""
    return next(at for at, line in enumerate(order) if package in line)


def package_of(module: str) -> str:
    """The package that a module is in, or the base; an empty name is the package `manyways` itself."""
    first = module.partition(".")[0]
    known = {name for line in ORDER for name in line}
    assert first in known or not (ROOT / first).is_dir() or not first, f"no place is known for the package {first}"
    return first if first in known else BASE


def reaches_up(each: Import) -> bool:
    """True if `each` imports a higher package, or one beside its own."""
    if not each.target:
        return True
    source, target = package_of(each.source), package_of(each.target)
    if source == target == "lineage" and "." in each.source and "." in each.target:
        source, target = each.source.split(".")[1], each.target.split(".")[1]
        return source != target and rank(target, WITHIN_LINEAGE) >= rank(source, WITHIN_LINEAGE)
    return source != target and rank(target, ORDER) >= rank(source, ORDER)


def test_nothing_reaches_up() -> None:
    """A higher package is imported nowhere in a lower one; the root package, which can load any, in none."""
    assert len(imports()) > 1000
    wrong = [
        f"{each.source.replace('.', '/')}.py:{each.line} imports manyways{'.' * bool(each.target)}{each.target}"
        for each in imports()
        if reaches_up(each)
    ]
    assert not wrong, f"a package imports itself and lower ones; from the lowest: {SHOWN}\n" + "\n".join(wrong)


def test_no_modules_import_each_other_as_they_are_imported() -> None:
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for each in imports():
        if each.eager and each.target != each.source:
            edges[each.source].add(each.target)
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    "line",
    [
        "training.loop methods.bases.gradient", "models.heads methods.discovery", "data.read models.model",
        "errors data.storage", "comparison.job lineage", "sklearn cli.fit", "lineage.store.store cli",
        "lineage.store.integrity lineage.forgetting.receipt", "lineage.audit.roc lineage.forgetting.request",
    ],
)  # fmt: skip
def test_what_reaches_up_is_seen(line: str) -> None:
    lower, higher = line.split()
    upwards = lower != "comparison.job"
    assert reaches_up(Import(lower, 1, higher, eager=False)) == upwards
    assert reaches_up(Import(lower, 1, "", eager=False)), "the root package can load any"
    assert not reaches_up(Import(lower, 1, lower, eager=False))


def test_imports_are_seen_wherever_they_stand() -> None:
    text = (
        "from manyways.data import read\nif TYPE_CHECKING:\n    import manyways.cli\n"
        "def f():\n    class A:\n        import manyways.errors, os\nfrom os import path\n"
    )
    found = [(each.target, each.eager) for each in found_in("x", ast.parse(text), True)]
    assert found == [("data.read", True), ("cli", False), ("errors", False)]
