"""The language of the code: the glossary's terms are in it, the words that it rules out name nothing."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import manyways

pytestmark = pytest.mark.quick
ROOT = Path(manyways.__file__).parent
GLOSSARY = (Path(__file__).parents[1] / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS, RULED_OUT = GLOSSARY.split("## Words that name nothing")
NO_TEXT = ("opinion", "opinions", "dear", "heed", "heeds")
"""Words that stand in no text of the code, either."""
SAVED = {("comparison/exhibits.py", "asked"), ("comparison/exhibits.py", "found")}
"""Members of results that stand in files."""
LONGEST = 3
"""Lines that a variable of a word that is ruled out lives at most."""
Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of all tables in `text`, without the heads."""
    lines = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [cells for cells in lines if not cells[0].startswith("---") and cells[0] not in ("term", "not")]


def code_words(cell: str) -> list[str]:
    """The words between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def normal(text: str) -> str:
    """`text` without dashes, underscores, spaces, capitals and the plural's -ies."""
    return re.sub(r"[-_\s]+", "", re.sub(r"ies\b", "y", text.lower()))


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package by its path in it."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
    }


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The names that a module gives to more than a few lines, each with its line.

    Those of classes, functions, arguments and attributes, and of variables used over more than `LONGEST` lines.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.lineno, node.name
            fields = (line.target for line in node.body if isinstance(line, ast.AnnAssign))
            yield from ((field.lineno, field.id) for field in fields if isinstance(field, ast.Name))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            yield from ((argument.lineno, argument.arg) for argument in given if argument is not None)
            yield from long_lived(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def long_lived(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[int, str]]:
    """The variables of a function whose last use lies more than `LONGEST` lines behind the first."""
    lines: dict[str, list[int]] = {}
    stored = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            lines.setdefault(node.id, []).append(node.lineno)
            stored |= {node.id} if isinstance(node.ctx, ast.Store) else set()
    yield from ((min(lines[name]), name) for name in sorted(stored) if max(lines[name]) - min(lines[name]) > LONGEST)


def ruled_out() -> dict[str, str]:
    """The words that name nothing, each with those to take instead."""
    return {word: instead for cell, instead in rows(RULED_OUT) for word in code_words(cell)}


@pytest.mark.parametrize("term", [cells[0] for cells in rows(TERMS)])
def test_every_term_is_in_the_code(term: str) -> None:
    (cells,) = [cells for cells in rows(TERMS) if cells[0] == term]
    _, meaning, places = cells
    assert re.fullmatch(r"[A-Z].*\.", meaning)
    files = [ROOT / place for place in code_words(places)]
    assert files
    for file in files:
        assert file.is_file(), f"the glossary names {file}, which is not there"
        text = normal(file.read_text(encoding="utf-8"))
        lacking = [word for word in term.split(" / ") if normal(word) not in text]
        assert not lacking, f"{file} does not have the term {lacking[0]!r}"


def test_each_term_has_one_meaning() -> None:
    terms = [cells[0] for cells in rows(TERMS)]
    assert len(terms) > 50
    assert len(terms) == len(set(terms))


def test_nothing_has_a_name_that_is_ruled_out() -> None:
    words = ruled_out()
    assert {"said", "likely", "opinions"} <= words.keys()
    wrong = [
        f"{path}:{line} {name}: better {words[name.strip('_')]}"
        for path, tree in trees().items()
        for line, name in names(tree)
        if name.strip("_") in words and (path, name) not in SAVED
    ]
    assert not wrong, "docs/glossary.md rules these names out\n" + "\n".join(wrong)


def test_what_is_ruled_out_is_seen_wherever_it_stands() -> None:
    text = (
        "class Made:\n    said: int = 0\n    def found(self, held, *asked, told=1):\n        self._shown = 1\n"
        "        likely = 1\n        dear = 2\n        dear\n        return (\n            likely\n        )\n"
    )
    seen = {name.strip("_").lower() for _, name in names(ast.parse(text))}
    assert {"made", "said", "found", "held", "asked", "told", "shown", "likely"} <= seen
    assert "dear" not in seen, "it lives for two lines"


def test_words_that_stand_in_no_text() -> None:
    pattern = re.compile(rf"\b({'|'.join(NO_TEXT)})\b", re.IGNORECASE)
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in sorted(ROOT.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not wrong, "docs/glossary.md has other words for these\n" + "\n".join(wrong)


def test_docstrings_name_the_thing_rather_than_ask_for_it() -> None:
    """A docstring begins with a noun phrase or a verb, also one under a field: that is the command line's help."""
    wrong = [
        f"{path}:{line.lineno} {line.value.value.splitlines()[0]}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, Definition)
        for line in node.body
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
        if re.match(r"(What|Whether|Which|How|Why|Who)\b", line.value.value)
    ]
    assert not wrong, 'begin with "The …", "Return …" or "True if …"\n' + "\n".join(wrong)
