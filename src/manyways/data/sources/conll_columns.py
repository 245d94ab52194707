"""The columns that sentences in columns are read as: words, tags by what they are, trees, and facts of sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from manyways.data.kinds import Kind
from manyways.data.sentences import Unfit, is_bio, is_ended, joined, tree_cell
from manyways.data.sources.conll_lines import Sentence, Sentences
from manyways.errors import DataError

WORDS = "words"
TREEBANK = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U."""
NAMED = {"upos": "upos", "xpos": "xpos", "feats": "feats"}
"""Columns of CoNLL-U that are tags, one for each word."""
LEFT_OUT = {
    "lemma": "lemmas are not learned from",
    "deps": 'enhanced dependencies are graphs, and trees are learned: label="tree"',
    "misc": "it holds notes on words",
}
NOTHING = ("_", "-")
"""Marks that stand for no value."""


@dataclass
class Cells:
    """Columns by name, a cell with tabs for each sentence, None where it has none.

    Attributes:
        all: Every column.
        kinds: The kind of each.
        annotations: Those of them that may be a label.
        uses: What to type to have a column that is no label.
        ignored: Reasons why columns are left out.
    """

    all: dict[str, list[str | None]] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    annotations: list[str] = field(default_factory=list)
    uses: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, kind: Kind, values: list[str | None], use: str = "") -> None:
        """Add a column; one that may be a label where there is no other `use`."""
        self.all[name], self.kinds[name] = values, kind
        if use:
            self.uses[name] = use
        elif name != WORDS:
            self.annotations.append(name)


def columns_of(sentences: Sentences, where: str) -> Cells:
    """The columns of the sentences of a file. Raises DataError, with the line, for a tree that is none."""
    cells = Cells()
    if is_treebank(sentences):
        _treebank(sentences.sentences, cells, where)
    else:
        _plain(sentences, cells)
    for name, use in (("document", 'group="document"'), ("sent_id", 'kinds={"sent_id": "category"}')):
        facts = [sentence.comments.get(name) or None for sentence in sentences.sentences]
        if any(facts):
            cells.add(name, "category", facts, use)
    return cells


def is_treebank(sentences: Sentences) -> bool:
    """True for the ten columns of CoNLL-U."""
    if sentences.width != len(TREEBANK) or not sentences.tabs:
        return False
    return sentences.sentences[0].rows[0][0][:1].isdigit()


def _treebank(sentences: Sequence[Sentence], cells: Cells, where: str) -> None:
    words = [_words_alone(sentence, where) for sentence in sentences]
    cells.add(WORDS, WORDS, [_cell([row[1] for row in rows]) for rows in words])
    for name, place in ((name, TREEBANK.index(name)) for name in NAMED):
        _add_tags(cells, name, [[row[place] for row in rows] for rows in words])
    trees = [_tree(rows, sentence, where) for rows, sentence in zip(words, sentences, strict=True)]
    if any(trees):
        cells.add("tree", "tree", trees)
    else:
        cells.ignored["tree"] = "it is empty in every sentence"
    cells.ignored |= LEFT_OUT


def _words_alone(sentence: Sentence, where: str) -> list[Sequence[str]]:
    """The rows of syntactic words: without those of multiword tokens (1-2) and empty nodes (8.1)."""
    rows = [row for row in sentence.rows if row[0].isdigit()]
    if odd := [row[0] for row in sentence.rows if not _is_id(row[0])]:
        raise DataError(
            f"{where}, sentence in line {sentence.line:,}: {odd[0]!r} is no number of a word; allowed are 1, 2, …, "
            "ranges such as 1-2 and empty nodes such as 8.1. Correct it."
        )
    for place, row in enumerate(rows, 1):
        if int(row[0]) != place:
            raise DataError(
                f"{where}, sentence in line {sentence.line:,}: words must be numbered 1, 2, …; word {place} has the "
                f"number {row[0]}. Correct it, or leave the sentence out."
            )
    return rows


def _is_id(text: str) -> bool:
    first, mark, second = text.partition("-" if "-" in text else ".")
    return first.isdigit() and (not mark or second.isdigit())


def _tree(rows: Sequence[Sequence[str]], sentence: Sentence, where: str) -> str | None:
    place = TREEBANK.index("head")
    if not rows or all(row[place] == "_" for row in rows):
        return None
    try:
        if odd := [row for row in rows if not row[place].isdigit()]:
            raise Unfit(f"{odd[0][place]!r} as the head of word {odd[0][0]}; a head is the number of a word, or 0")
        return tree_cell([(int(row[place]), row[place + 1]) for row in rows])
    except Unfit as fault:
        raise DataError(
            f"{where}, sentence in line {sentence.line:,}: its tree has {fault}. Correct it, or leave the sentence out."
        ) from None


def _plain(sentences: Sentences, cells: Cells) -> None:
    """Words in the first column, or behind one that counts them, and tags in the others, named by what they are."""
    rows = [sentence.rows for sentence in sentences.sentences]
    names = dict(enumerate(sentences.names or ()))
    counted = all([row[0] for row in each] == [str(at) for at in range(1, len(each) + 1)] for each in rows)
    by_name = next((place for place, name in names.items() if name in ("form", "word", "words", "token")), None)
    first = by_name if by_name is not None else int(counted and sentences.width > 2)
    cells.add(WORDS, WORDS, [_cell([row[first] for row in each]) for each in rows])
    tags = {
        place: [[row[place] for row in each] for each in rows]
        for place in range(sentences.width)
        if place != first and not (place < first and counted)
    }
    known = {place: values for place, values in tags.items() if not all(set(each) <= set(NOTHING) for each in values)}
    spans = [place for place, values in known.items() if _marks_spans(values)]
    for place, values in tags.items():
        name = names.get(place) or f"column_{place + 1}"
        if place in known and place not in names:
            alone = "tags" if len(known) == 1 else name
            name = "entities" if spans and place == spans[-1] else alone
        _add_tags(cells, name, values)


def _marks_spans(values: Sequence[Sequence[str]]) -> bool:
    distinct = {tag for each in values for tag in each}
    return is_bio(distinct) or is_ended(distinct)


def _add_tags(cells: Cells, name: str, values: Sequence[Sequence[str]]) -> None:
    """Add a column of tags, or the reason why it is none; a sentence without any tag is without a label."""
    distinct = {tag for each in values for tag in each}
    if distinct <= set(NOTHING):
        cells.ignored[name] = "it is empty for every word"
    elif len(distinct) == 1:
        cells.ignored[name] = f"it is {next(iter(distinct))!r} for every word"
    else:
        cells.add(name, "tags", [None if set(each) <= set(NOTHING) else _cell(each) for each in values])


def _cell(parts: Sequence[str]) -> str | None:
    return joined([part or "_" for part in parts])
