"""Sentences in cells: words, a tag for each word, and dependency trees, each as one string with tabs between words."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

TAB = "\t"
"""Between the words of a sentence, their tags, and their heads."""
NO_BREAK = "\N{NO-BREAK SPACE}"
"""In place of the blanks within a word."""
BLANKS = re.compile(r"[ \t\n\r\f\v]+")
ARC = re.compile(r"(\d+):(.+)", re.DOTALL)
BIO = re.compile(r"O|[BI]-.+", re.DOTALL)
ENDED = re.compile(r"O|[BIESLU]-.+", re.DOTALL)
AS_BIO = {"S": "B", "U": "B", "E": "I", "L": "I"}
"""The letters of the schemes BIOES and BILOU, and those of BIO that say the same."""


class Unfit(ValueError):
    """A cell holds no such sentence; the message says why, as the end of a sentence about the cell."""


def parts_of(cell: Any) -> list[str]:
    """The words or tags in a cell: a list of them, its JSON, or a string with tabs or else blanks between them.

    Raises Unfit for an element that is no word.
    """
    if isinstance(cell, str):
        # Words with tabs between them may be JSON, too: "[", "2", "]".
        listed = None if TAB in cell else list_in(cell)
        if listed is None:
            return cell.split(TAB) if TAB in cell else [part for part in BLANKS.split(cell) if part]
        cell = listed
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if not isinstance(cell, list | tuple):
        raise Unfit(f"{cell!r}, which is no list of words")
    for part in cell:
        if not isinstance(part, str | int | np.integer) or isinstance(part, bool):
            raise Unfit(f"a list with {part!r} in it, which is no word")
    return [part if isinstance(part, str) else str(part) for part in cell]


def list_in(text: str) -> list[Any] | None:
    """The list that `text` is the JSON of; None where it is none."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def joined(parts: Sequence[str], what: str = "word") -> str | None:
    """Words or tags as one string; None where there are none. Raises Unfit for an empty one."""
    for place, part in enumerate(parts, 1):
        if not part or not BLANKS.sub("", part):
            raise Unfit(f"an empty {what}, the {ordinal(place)} of {len(parts)}")
    return TAB.join(BLANKS.sub(NO_BREAK, part) for part in parts) or None


def split(cell: str) -> list[str]:
    """The words or tags of a cell that `joined` wrote."""
    return cell.split(TAB)


def length_of(cell: str) -> int:
    """The number of words in a cell that `joined` wrote."""
    return cell.count(TAB) + 1


def arcs_of(cell: Any) -> list[tuple[int, str]]:
    """The head, 0 for the root, and the relation of each word in a cell.

    A cell is a list of pairs [head, relation] or of "head:relation", its JSON, or a string with tabs or blanks between
    those. Raises Unfit for another element.
    """
    listed = (None if TAB in cell else list_in(cell)) if isinstance(cell, str) else cell
    parts: Any = parts_of(cell) if listed is None else listed
    if isinstance(parts, np.ndarray):
        parts = parts.tolist()
    if not isinstance(parts, list | tuple):
        raise Unfit(f"{cell!r}, which is no list of heads")
    arcs = []
    for place, part in enumerate(parts, 1):
        if isinstance(part, list | tuple) and len(part) == 2 and isinstance(part[0], int) and isinstance(part[1], str):
            arcs.append((part[0], part[1]))
        elif isinstance(part, str) and (match := ARC.fullmatch(part)):
            arcs.append((int(match[1]), match[2]))
        else:
            raise Unfit(f"{part!r} for word {place}; a word has its head and its relation, such as '2:nsubj'")
    return arcs


def tree_cell(arcs: Sequence[tuple[int, str]]) -> str | None:
    """A tree as one string; None where it has no word. Raises Unfit where it is no tree."""
    if not arcs:
        return None
    if fault := fault_of([head for head, _ in arcs]):
        raise Unfit(fault)
    return joined([f"{head}:{relation}" for head, relation in arcs], "relation")


def split_tree(cell: str) -> tuple[list[int], list[str]]:
    """Heads and relations of a cell that `tree_cell` wrote."""
    pairs = [part.split(":", 1) for part in cell.split(TAB)]
    return [int(head) for head, _ in pairs], [relation for _, relation in pairs]


def fault_of(heads: Sequence[int]) -> str | None:
    """The fault of the `heads` of words 1 … n, 0 for the root, as the end of a sentence; None where they are a tree."""
    count = len(heads)
    for word, head in enumerate(heads, 1):
        if not 0 <= head <= count:
            allowed = "0 for the root" if count == 1 else f"0 for the root, or 1 … {count}"
            return f"the head {head} for word {word} of a sentence of {count}; heads are {allowed}"
        if head == word:
            return f"word {word} as its own head"
    roots = [word for word, head in enumerate(heads, 1) if head == 0]
    if not roots:
        return "no root: no word has the head 0"
    if len(roots) > 1:
        return f"{len(roots)} roots, words {', '.join(map(str, roots[:5]))}; a tree has one, whose head is 0"
    done = {0}
    for word in range(1, count + 1):
        path: list[int] = []
        node = word
        while node not in done:
            if node in path:
                cycle = path[path.index(node) :]
                return f"a cycle of heads: {' → '.join(map(str, [*cycle, node]))}"
            path.append(node)
            node = heads[node - 1]
        done.update(path)
    return None


def is_bio(tags: Iterable[str]) -> bool:
    """True if `tags` mark spans by their beginnings and insides: O, B-…, I-…, and not O alone."""
    distinct = set(tags)
    return bool(distinct - {"O"}) and all(map(BIO.fullmatch, distinct))


def is_ended(tags: Iterable[str]) -> bool:
    """True if `tags` are of the schemes BIOES or BILOU, which mark the ends of spans, and spans of one word, too."""
    distinct = set(tags)
    letters = {tag[0] for tag in distinct - {"O"}}
    if not letters & set(AS_BIO) or not all(map(ENDED.fullmatch, distinct)):
        return False
    return "O" in distinct or "B" in letters or "I" in letters


def as_bio(tags: Sequence[str]) -> list[str]:
    """Tags of BIOES or BILOU in the scheme BIO."""
    return [AS_BIO[tag[0]] + tag[1:] if tag[0] in AS_BIO and tag[1:2] == "-" else tag for tag in tags]


def repaired(tags: Sequence[str]) -> list[str]:
    """Tags of BIO in which each span begins with B-: an I- that follows no span of its type begins one."""
    out, before = [], "O"
    for tag in tags:
        before = f"B{tag[1:]}" if tag[0] == "I" and before[1:] != tag[1:] else tag
        out.append(before)
    return out


def spans_of(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The spans (type, first word, word behind the last) of BIO `tags`, strictly.

    As seqeval's strict mode has it, an I- that goes on no span of its type is in none, and ends the one before it.
    """
    spans: list[tuple[str, int, int]] = []
    kind, start = "", -1
    for place, tag in enumerate([*tags, "O"]):
        if start >= 0 and not (tag[0] == "I" and tag[2:] == kind):
            spans.append((kind, start, place))
            start = -1
        if tag[0] == "B":
            kind, start = tag[2:], place
    return spans


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
