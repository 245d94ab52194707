"""CoNLL, CoNLL-U and IOB2: sentences, columns, comments, parts, and every damage named by its line."""

import gzip
from pathlib import Path

import pytest

import manyways as mw
from manyways.errors import DataError

pytestmark = pytest.mark.quick

TREEBANK = """\
# newdoc id = first
# sent_id = a-1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\tMood=Imp\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tgone\tgo\tVERB\t_\t_\t_\t_\t0:exroot\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

# sent_id = a-2
1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_

# newdoc id = second
1\t[\t[\tPUNCT\t-LRB-\t_\t2\tpunct\t_\t_
2\t2\t2\tNUM\tCD\t_\t0\troot\t_\t_
3\t]\t]\tPUNCT\t-RRB-\t_\t2\tpunct\t_\t_
"""
ENTITIES = "#NFL\tO\nin\tO\nNew\tB-LOC\nYork\tI-LOC\n\n\t\nHe\tO\nmet\tO\nAnn\tB-PER\n"


def write(path: Path, content: str) -> Path:
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


@pytest.mark.parametrize("name", ["t.conllu", "t.conllu.gz", "t.conll"])
def test_a_treebank_has_words_and_a_tree_without_multiword_tokens_and_empty_nodes(tmp_path: Path, name: str) -> None:
    data = mw.read(write(tmp_path / name, TREEBANK))
    assert data.roles == {"label": ("tree",), "input": ("words",)}
    assert data.take("words").tolist() == ["Do\tn't\tgo\t.", "Yes", "[\t2\t]"]
    assert data.take("tree").tolist() == [
        "3:aux\t3:advmod\t0:root\t3:punct", "0:root", "2:punct\t0:root\t2:punct"
    ]  # fmt: skip
    assert 'label="upos"' in data.notes["tree"]
    assert 'label="upos"' in data.ignored["upos"]
    assert "lemmas" in data.ignored["lemma"]


def test_other_columns_are_the_label_where_they_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.conllu", TREEBANK)
    data = mw.read(path, label="upos", group="document")
    assert data.take("upos").tolist() == ["AUX\tPART\tVERB\tPUNCT", "INTJ", "PUNCT\tNUM\tPUNCT"]
    assert data.take("document").tolist() == ["first", "first", "second"]
    assert data.roles["group"] == ("document",)
    several = mw.read(path, label=("upos", "tree"))
    assert [column.kind for column in several.labels] == ["tags", "tree"]
    # A sentence whose features are all empty has no label of that kind.
    assert mw.read(path, label="feats").take("feats").tolist() == ["Mood=Imp\t_\t_\t_", None, None]
    assert mw.read(path, label=()).roles == {"input": ("words",)}


@pytest.mark.parametrize("name", ["t.conll", "t.iob2.gz", "t.bio"])
def test_two_columns_are_words_and_entities_and_a_hash_tag_is_a_word(tmp_path: Path, name: str) -> None:
    data = mw.read(write(tmp_path / name, ENTITIES))
    assert data.roles == {"label": ("entities",), "input": ("words",)}
    assert data.take("words").tolist() == ["#NFL\tin\tNew\tYork", "He\tmet\tAnn"]
    assert data.take("entities").tolist() == ["O\tO\tB-LOC\tI-LOC", "O\tO\tB-PER"]


def test_words_behind_numbers_and_columns_without_values(tmp_path: Path) -> None:
    data = mw.read(
        write(tmp_path / "t.iob2", "# sent_id = x\n1\tAnn\tB-PER\t-\t-\n2\tsits\tO\t-\tme\n\n1\tNo\tO\t-\t-\n")
    )
    assert data.take("words").tolist() == ["Ann\tsits", "No"]
    assert data.take("entities").tolist() == ["B-PER\tO", "O"]
    assert data.ignored["column_4"] == "it is empty for every word"
    assert 'label="column_5"' in data.ignored["column_5"]


def test_columns_with_blanks_between_them_and_document_lines(tmp_path: Path) -> None:
    first, second = "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n", "Peter NNP B-NP B-PER\nwins VBZ B-VP O\nit PRP B-NP O\n"
    text = f"-DOCSTART- -X- -X- O\n\n{first}\n{second}"
    for name in ("train.txt", "t.conll"):
        data = mw.read(write(tmp_path / name, text), label="entities")
        assert data.take("words").tolist() == ["EU\trejects", "Peter\twins\tit"]
        assert data.take("entities").tolist() == ["B-ORG\tO", "B-PER\tO\tO"]
    assert mw.read(tmp_path / "t.conll", label="column_2").take("column_2").tolist() == ["NNP\tVBZ", "NNP\tVBZ\tPRP"]


def test_prose_in_a_text_file_stays_prose(tmp_path: Path) -> None:
    data = mw.read(write(tmp_path / "t.txt", "one two\nthree four\nfive six\nseven eight\nnine ten\neleven O\n"))
    assert data.roles == {"text": ("text",)}


def test_a_header_of_conllu_plus_names_the_columns(tmp_path: Path) -> None:
    text = "# global.columns = FORM UPOS NER\nAnn\tPROPN\tB-PER\nsits\tVERB\tO\n\nNo\tINTJ\tO\n"
    data = mw.read(write(tmp_path / "t.conll", text), label="ner")
    assert data.take("ner").tolist() == ["B-PER\tO", "O"]
    assert 'label="upos"' in data.ignored["upos"]


def test_a_folder_has_parts(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        write(tmp_path / f"en-{part}.conllu.gz", TREEBANK)
    (tmp_path / "LICENSE.txt").write_text("free for all")
    data = mw.read(tmp_path)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [3, 3, 3]
    assert "1 file" in data.ignored["*.txt"]
    write(tmp_path / "en-test.conllu.gz", ENTITIES)
    with pytest.raises(DataError, match="has 2 columns, and .* has 10"):
        mw.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\tO\nb\n", "line 2: 1 column where others have 2: 'b'"),
        ("a\nb\n", "line 1: 'a' has one column"),
        ("\n\n", "no sentence"),
        ("a\tO\n\tB-X\n", "line 2: the word is empty"),
        ("# global.columns = FORM UPOS NER\na\tO\n", "names 3 columns and has 2"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        mw.read(write(tmp_path / "t.conll", text))


def row(number: str, head: str, relation: str = "x") -> str:
    return f"{number}\ta\ta\tX\tX\t_\t{head}\t{relation}\t_\t_\n"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (row("1", "3") + row("2", "0"), "sentence in line 2: its tree has the head 3 for word 1 of a sentence of 2"),
        (row("1", "0") + row("2", "3") + row("3", "2"), "a cycle of heads: 2 → 3 → 2"),
        (row("1", "2") + row("2", "1"), "no root"),
        (row("1", "0") + row("2", "0"), "2 roots, words 1, 2"),
        (row("1", "0") + row("2", "one"), "'one' as the head of word 2"),
        (row("1", "0") + row("3", "1"), "word 2 has the number 3"),
        (row("1", "0") + row("b", "1"), "'b' is no number of a word"),
    ],
)
def test_what_is_no_tree_is_named_by_its_sentence(tmp_path: Path, rows: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        mw.read(write(tmp_path / "t.conllu", f"# sent_id = s\n{rows}"))


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.conll").write_bytes("Zürich\tB-LOC\n".encode("latin1"))
    with pytest.raises(DataError, match="not UTF-8"):
        mw.read(tmp_path / "t.conll")
