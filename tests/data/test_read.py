"""read: roles, kinds, parts, labels and bad rows, whatever the source."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rows = [f"{20 + i % 40},{'yes' if i % 3 else 'no'},{i * 0.5},{'a' if i % 2 else 'b'}" for i in range(60)]
    return write(tmp_path / "people.csv", "age,member,income,label\n" + "\n".join(rows) + "\n")


def test_columns_get_kinds_and_roles(people: Path) -> None:
    data = mw.read(people)
    assert data.roles == {"label": ("label",), "input": ("age", "member", "income")}
    assert {name: column.kind for name, column in data.columns.items()} == {
        "age": "number",
        "member": "category",
        "income": "number",
        "label": "category",
    }
    assert data.take("age").tolist() == [20 + i % 40 for i in range(60)]
    assert data.take("label").tolist() == ["a" if i % 2 else "b" for i in range(60)]
    assert data.name == "people"
    assert data.source == str(people)


def test_explicit_roles_and_ignored_rest(people: Path) -> None:
    data = mw.read(people, label="income", input="age", subject="member")
    assert data.roles == {"label": ("income",), "input": ("age",), "subject": ("member",)}
    assert data.label_kind == "number"
    assert data.ignored == {"label": "no role was given to it"}


def test_no_label(people: Path) -> None:
    data = mw.read(people, label=())
    assert not data.has("label")
    assert data.roles["input"] == ("age", "member", "income", "label")


def test_kinds_override(people: Path) -> None:
    data = mw.read(people, kinds={"age": "category", "member": "text"})
    assert data.columns["age"].kind == "category"
    assert data.take("age")[:2].tolist() == ["20", "21"]  # a category is the words of the file
    assert data.columns["member"].kind == "text"


def test_kind_that_does_not_fit(people: Path) -> None:
    with pytest.raises(DataError, match=r"'member' cannot have the kind 'number': row 0 .* holds 'no'"):
        mw.read(people, kinds={"member": "number"})
    with pytest.raises(DataError, match=r"'age' names no file below"):
        mw.read(people, kinds={"age": "image"})
    with pytest.raises(ParameterError, match=r"must be one of number, category.*Did you mean 'category'"):
        mw.read(people, kinds={"age": "categori"})  # type: ignore[dict-item]
    with pytest.raises(DataError, match=r"no column 'agee' for kinds.*Did you mean 'age'"):
        mw.read(people, kinds={"agee": "number"})


def test_unknown_names(people: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'lable' for the role label; columns are age.*Did you mean 'label'"):
        mw.read(people, label="lable")
    with pytest.raises(ParameterError, match=r"no option or role 'lables'.*Did you mean 'label'"):
        mw.read(people, lables="label")
    with pytest.raises(ParameterError, match=r"no option or role 'bad_row'.*Did you mean 'bad_rows'"):
        mw.read(people, bad_row="skip")
    with pytest.raises(ParameterError, match=r"label must be a column name"):
        mw.read(people, label=3)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"bad_rows": "drop"}, "bad_rows must be one of refuse, skip, fill, keep; got 'drop'"),
        ({"image_size": 0}, "image_size must be a positive"),
        ({"image_size": (3, 4, 5)}, "image_size must be a positive"),
        ({"sample_rate": -1}, "sample_rate must be above 0; got -1"),
        ({"seconds": 0.0}, "seconds must be above 0; got 0.0"),
    ],
)
def test_options_out_of_range(people: Path, option: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mw.read(people, **option)  # type: ignore[arg-type]


def test_part_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x,split,label\n1,train,a\n2,dev,b\n3,Test,a\n4,training,b\n5,validation,a\n")
    data = mw.read(path, part="split")
    assert data.part.tolist() == [0, 1, 2, 0, 1]
    assert "split" not in data.columns
    with pytest.raises(DataError, match=r"'label' names no part in 5 rows, first 'a' in row 0"):
        mw.read(path, part="label", label=())
    with pytest.raises(DataError, match=r"no column 'splitt' for part.*Did you mean 'split'"):
        mw.read(path, part="splitt")
    with pytest.raises(DataError, match="both part and label"):
        mw.read(path, part="label", label="label")


def test_test_and_validation_sources(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "x,kind,label\n1,u,0\n2,v,1\n3,u,0\n")
    validation = write(tmp_path / "b.csv", "label,kind,x\n1,u,4\n")
    test = write(tmp_path / "c.csv", "x,kind,extra\n5,v,9\n6,u,9\n")
    data = mw.read(train, validation=validation, test=test)
    assert data.part.tolist() == [0, 0, 0, 1, 2, 2]
    assert data.take("x").tolist() == [1, 2, 3, 4, 5, 6]
    assert data.take("kind").tolist() == ["u", "v", "u", "u", "v", "u"]
    assert data.labelled.tolist() == [True] * 4 + [False] * 2
    assert data.classes == (0, 1)
    assert data.ignored == {"extra": f"is in {test} only"}


def test_parts_that_do_not_fit(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "x,label\n1,0\n2,1\n")
    with pytest.raises(DataError, match=r"b.csv lacks the column 'x' that .*a.csv has; its columns are y, label"):
        mw.read(train, test=write(tmp_path / "b.csv", "y,label\n1,0\n"))
    with pytest.raises(DataError, match=r"'x' is numbers in .*a.csv, but words in .*c.csv"):
        mw.read(
            write(tmp_path / "a.csv", "x,label\n1.5,0\n2,1\n"),
            test=write(tmp_path / "c.csv", "x,label\nhot,0\n"),
        )


def test_whole_numbers_join_words_as_words(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "x,label\n1,2\n2,3\n")
    data = mw.read(train, test=write(tmp_path / "b.csv", "x,label\n1,2\n3,other\n"))
    assert data.take("label").tolist() == ["2", "3", "2", "other"]


def test_what_a_label_of_whole_numbers_is_taken_for_is_said() -> None:
    x = np.random.default_rng(0).normal(size=300)
    images = mw.read((np.zeros((1010, 8, 8, 3), np.uint8), np.arange(1010) % 101))
    assert images.classification
    assert images.notes == {
        "label": "the whole numbers 0 … 100 are taken for 101 classes; if they are amounts: kinds={'label': \"number\"}"
    }
    amounts = mw.read({"x": x, "label": np.arange(300) % 30 * 3})
    assert not amounts.classification
    assert amounts.notes["label"].startswith(
        "its 30 different whole numbers are taken for amounts; if they are classes"
    )
    for label in (np.arange(300) % 7, np.arange(300), x):
        assert not mw.read({"x": x, "label": label}).notes
    assert not mw.read({"x": x, "label": np.arange(300) % 30}, kinds={"label": "category"}).notes


def test_missing_labels_are_unlabelled(tmp_path: Path) -> None:
    words = mw.read(write(tmp_path / "w.csv", "x,label\n1,a\n2,\n3,b\n4,\n"))
    assert words.labelled.tolist() == [True, False, True, False]
    codes = mw.read(write(tmp_path / "c.csv", "x,label\n1,0\n2,\n3,1\n"))
    assert codes.classification
    assert codes.take("label").tolist() == [0, None, 1]
    assert codes.classes == (0, 1)
    array = mw.read(np.arange(6.0).reshape(3, 2), label=np.array([1.5, np.nan, 2.25]))
    assert array.labelled.tolist() == [True, False, True]
    assert array.label_kind == "number"
    objects = mw.read({"x": [0.5, 1.5, 2.5], "label": np.array(["a", None, ""], object)})
    assert objects.labelled.tolist() == [True, False, False]


# --- columns that tell nothing ---


def test_identifiers_are_ignored_with_a_reason(tmp_path: Path) -> None:
    rows = [f"{i},k{i:03},{i % 7}.5,,{'a' if i % 2 else 'b'}" for i in range(30)]
    path = write(tmp_path / "ids.csv", "row,code,x,notes,label\n" + "\n".join(rows))
    data = mw.read(path)
    assert data.roles["input"] == ("x",)
    assert data.ignored == {
        "row": "it counts the rows",
        "code": "it names each row (30 different values in 30 rows)",
        "notes": "it is empty in every row",
    }
    assert mw.read(path, input=["row", "x"]).roles["input"] == ("row", "x")
    assert "code" in mw.read(path, kinds={"code": "category"}).roles["input"]


def test_nothing_left_to_learn_from(tmp_path: Path) -> None:
    path = write(tmp_path / "ids.csv", "code,label\n" + "\n".join(f"k{i},{'ab'[i % 2]}" for i in range(30)))
    with pytest.raises(DataError, match=r'no column to learn from \(code: it names each row .*Name one: input="…"'):
        mw.read(path)
    with pytest.raises(DataError, match=r"no column to learn from \(every column has another role\)"):
        mw.read(write(tmp_path / "one.csv", "label\na\nb\n"))


def test_text_roles_take_no_inputs_by_themselves(tmp_path: Path) -> None:
    path = write(tmp_path / "qa.jsonl", '{"q": "1 + 1?", "a": 2, "note": ""}\n{"q": "2 + 2?", "a": 4, "note": "x"}\n')
    data = mw.read(path, prompt="q", completion="a")
    assert data.roles == {"prompt": ("q",), "completion": ("a",)}
    assert data.take("a").tolist() == ["2", "4"]
    assert data.columns["a"].kind == "text"
    assert data.ignored == {"note": "no role was given to it"}


# --- what is no source ---


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file or folder 'digit'.*Did you mean 'digits'"):
        mw.read("digit")
    write(tmp_path / "reviews.csv", "x\n1\n")
    with pytest.raises(DataError, match=r"Did you mean '.*reviews.csv'"):
        mw.read(tmp_path / "review.csv")
    with pytest.raises(DataError, match=r"notes.doc has a form that cannot be read. Allowed are a CSV"):
        mw.read(write(tmp_path / "notes.doc", "x"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no layout that can be read; it holds nothing"):
        mw.read(tmp_path / "empty")
    with pytest.raises(DataError, match=r"object of type builtins.int"):
        mw.read(3)


@pytest.mark.parametrize(
    ("name", "rows", "inputs", "kind", "classes"),
    [
        ("digits", 1797, 1, "image", 10),
        ("breast-cancer", 569, 30, "number", 2),
        ("wine", 178, 13, "number", 3),
        ("diabetes", 442, 10, "number", None),
    ],
)
def test_built_in(name: str, rows: int, inputs: int, kind: str, classes: int | None) -> None:
    data = mw.read(name)
    assert len(data) == rows
    assert len(data.inputs) == inputs
    assert data.inputs[0].kind == kind
    assert (len(data.classes) == classes) if classes else data.label_kind == "number"


def test_digits_span_the_grey_levels() -> None:
    images = mw.read("digits").take("image")
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)


def test_a_path_comes_before_a_built_in_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    write(tmp_path / "digits" / "train.csv", "x,label\n1,a\n2,b\n")
    monkeypatch.chdir(tmp_path)
    assert len(mw.read("digits")) == 2
