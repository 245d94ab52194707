"""Labels with a structure from the command line: fitted, predicted, and written in the format of a file's ending."""

from pathlib import Path

import pytest

from manyways.cli import main

SENTENCES = ["ann sees dogs", "bob wants boats", "cid finds lamps", "ann wants trees"] * 4


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file of tagged sentences, and a model that was fitted on it for a few steps."""
    folder = tmp_path_factory.mktemp("tags")
    lines = [
        "\n".join(f"{at}\t{word}\t_\t{tag}\t_\t_\t{head}\t{relation}\t_\t_" for at, word, tag, head, relation in rows)
        for rows in (
            zip((1, 2, 3), words.split(), ("PROPN", "VERB", "NOUN"), (2, 0, 2), ("nsubj", "root", "obj"), strict=True)
            for words in SENTENCES
        )
    ]
    data = folder / "train.conllu"
    data.write_text("\n\n".join(lines) + "\n\n", encoding="utf-8")
    assert (
        main(["fit", "supervised", str(data), "--label", "upos", "--budget", "4 steps", "--out", str(folder / "m")])
        == 0
    )
    return data, folder / "m"


def test_tags_are_written_as_conllu(tagged: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = tagged
    assert main(["predict", str(model), str(data), "--out", str(tmp_path / "p.conllu")]) == 0
    first = (tmp_path / "p.conllu").read_text().splitlines()[0].split("\t")
    assert first[:2] == ["1", "ann"]
    assert first[3] in ("PROPN", "VERB", "NOUN")
    assert len(first) == 10
    # What was written is read again.
    assert main(["advise", str(tmp_path / "p.conllu"), "--label", "upos"]) == 0


def test_tags_are_cells_of_a_csv(tagged: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = tagged
    assert main(["predict", str(model), str(data), "--out", str(tmp_path / "p.csv")]) == 0
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith('0,"[""')


@pytest.mark.parametrize("name", ["p.json", "p", "p.txt"])
def test_another_ending_is_refused(
    tagged: tuple[Path, Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = tagged
    assert main(["predict", str(model), str(data), "--out", str(tmp_path / name)]) == 2
    assert "must end with .csv or .conll" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_advise_names_the_kind(tagged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    data, _ = tagged
    assert main(["advise", str(data), "--label", "upos"]) == 0
    said = capsys.readouterr().out
    assert "tags" in said
    assert "--label" in said
