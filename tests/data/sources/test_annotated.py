"""Pictures with boxes and masks, read from the forms that people have: made here, small."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.boxes import boxes_in
from manyways.data.data import Data
from manyways.data.inference.drawing import drawn
from manyways.data.sources.base import Shapes
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def picture(path: Path, width: int = 40, height: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path)
    return path


def boxes(data: Data) -> list[list[tuple[Any, ...]]]:
    return [[(each.label, *each.corners) for each in boxes_in(cell)] for cell in data.take("label")]


XML = "<annotation>{extra}<filename>{name}.png</filename><size><width>{width}</width><height>20</height></size>{body}"
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def voc(folder: Path, name: str, *objects: tuple[Any, ...], extra: str = "", width: int = 40, end: str = "") -> None:
    picture(folder / "JPEGImages" / f"{name}.png")
    path = folder / "Annotations" / f"{name}.xml"
    path.parent.mkdir(exist_ok=True)
    body = "".join(OBJECT.format(*each) for each in objects)
    path.write_text(XML.format(name=name, body=body, extra=extra, width=width) + (end or "</annotation>"))


def test_voc_is_read_by_its_own_lists(tmp_path: Path) -> None:
    for name, at in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        voc(tmp_path, name, ("cat", at, 2, 30, 18))
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, rows in (("train", "c"), ("val", "b"), ("trainval", "b\nc"), ("test", "a")):
        (lists / f"{name}.txt").write_text(rows)
    data = mw.read(tmp_path, image_size=(10, 20))
    assert [len(part) for part in (data.training, data.validation, data.test)] == [1, 1, 1]
    assert boxes(data.test) == [[("cat", 1, 2, 30, 18)]]
    assert boxes(data.training) == [[("cat", 3, 2, 30, 18)]]
    assert "1 annotation stands in none" in data.notes["pictures"]
    # Boxes stay in pixels of the file, whatever size the picture came to.
    assert data.columns["image"].values.shape == (3, 3, 10, 20)
    assert data.columns["image"].sizes_of(data.rows).tolist() == [[20, 40]] * 3


def test_a_voc_picture_without_objects_is_a_negative_and_one_without_annotation_unlabelled(tmp_path: Path) -> None:
    voc(tmp_path, "a", ("cat", 1, 2, 30, 18))
    voc(tmp_path, "b")
    picture(tmp_path / "JPEGImages" / "c.png")
    data = mw.read(tmp_path)
    assert sorted(map(str, data.take("label").tolist())) == ["None", '[["cat",1,2,30,18]]', "[]"]
    assert data.labelled.sum() == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: voc(folder, "b", ("cat", 5, 5, 5, 9)), r"b\.xml: the box \(5, 5, 5, 9\) of cat has no area"),
        (lambda folder: voc(folder, "b", ("cat", 5, 5, 60, 9)), r"reaches 20 pixels over the border of its picture"),
        (lambda folder: voc(folder, "b", ("cat", "x", 5, 6, 9)), r"the corners of a cat are no numbers"),
        (lambda folder: voc(folder, "b", ("cat", "nan", 5, 6, 9)), r"is not finite"),
        (lambda folder: voc(folder, "b", width=50), r"the picture has 40x20 pixels, its annotation states 50x20"),
        (lambda folder: voc(folder, "b", end="</oops>"), r"b\.xml is no XML: mismatched tag"),
        (lambda folder: voc(folder, "b", extra="&bomb;"), r"b\.xml is no XML: undefined entity"),
        (lambda folder: (voc(folder, "b"), (folder / "JPEGImages" / "b.png").unlink()), "there is no such picture"),
        (lambda folder: (voc(folder, "b"), (folder / "JPEGImages" / "b.png").write_bytes(b"?")), "no image in a known"),
    ],
)  # fmt: skip
def test_a_bad_annotation_is_named_or_left_out(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    voc(tmp_path, "a", ("cat", 1, 2, 30, 18))
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        mw.read(tmp_path)
    data = mw.read(tmp_path, bad_rows="skip")
    assert boxes(data) == [[("cat", 1, 2, 30, 18)]]
    assert "1 of 2 rows left out" in data.notes["bad rows"]


def test_xml_with_a_document_type_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    voc(tmp_path, "a", ("cat", 1, 2, 30, 18))
    voc(tmp_path, "b")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    doctype = f'<!DOCTYPE annotation [<!ENTITY cat SYSTEM "{secret.as_uri()}">]>'
    path = tmp_path / "Annotations" / "b.xml"
    path.write_text(doctype + path.read_text().replace("</annotation>", "&cat;</annotation>"))
    with pytest.raises(DataError, match="has a document type"):
        mw.read(tmp_path)


def coco(folder: Path, **changes: Any) -> Path:
    for name in ("one", "two"):
        picture(folder / "pictures" / f"{name}.png")
    content: dict[str, Any] = {
        "images": [
            {"id": 7, "file_name": "one.png", "width": 40, "height": 20},
            {"id": 8, "file_name": "two.png", "width": 40, "height": 20},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 2, 10, 8],
             "segmentation": [[4, 2, 14, 2, 14, 10, 4, 10]]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [20, 0, 20, 20],
             "segmentation": {"size": [20, 40], "counts": [400, 400]}},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        ],
    }  # fmt: skip
    path = folder / "annotations.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_coco_boxes_are_read_from_the_file_or_its_folder(tmp_path: Path) -> None:
    path = coco(tmp_path)
    for source in (path, tmp_path):
        data = mw.read(source)
        assert boxes(data) == [[("cat", 4, 2, 14, 10), ("dog", 20, 0, 40, 20)], []]
        assert "1 region of many objects left out" in data.notes["crowds of annotations.json"]


def test_coco_polygons_and_run_lengths_are_drawn(tmp_path: Path) -> None:
    path = coco(tmp_path)
    data = mw.read(path, kinds={"label": "mask"})
    mask = data.take("label")[0]
    assert data.columns["label"].kind == "mask"
    assert "1 dog, 2 cat" in data.notes["mask"]
    wanted = np.zeros((20, 40), np.uint8)
    wanted[2:10, 4:14] = 2
    wanted[:, 20:] = 1
    # Pillow fills the pixels on a polygon's border, too.
    assert (mask != wanted).sum() <= 2 * (8 + 10)
    assert (mask[:, 20:] == 1).all()
    assert not data.take("label")[1].any()
    numbers = mw.read(path, kinds={"label": "instances"}).take("label")[0]
    assert sorted(np.unique(numbers)) == [0, 1, 2]
    assert ((numbers > 0) == (mask > 0)).all()


def test_run_lengths_in_cocos_text_are_those_in_numbers() -> None:
    mask_utils = pytest.importorskip("pycocotools.mask")
    covered = np.random.default_rng(0).random((13, 17)) < 0.4
    text = mask_utils.encode(np.asfortranarray(covered.astype(np.uint8)))["counts"].decode()
    item = Shapes((13, 17), ((1, {"size": [13, 17], "counts": text}),))
    assert (drawn(item, instances=False) == covered).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [{"image_id": 9, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "entry 0 of annotations is"),
        ({"annotations": [{"image_id": 7, "category_id": 9, "bbox": [0, 0, 1, 1]}]}, "is of the category 9"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 0, 1]}]}, "one.png: the box .* has no area"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1]}]}, "one.png: .* is no box of four"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [30, 0, 30, 5]}]}, "reaches 20 pixels over"),
        ({"annotations": {}}, "has no list of annotations"),
        ({"images": [{"id": "x"}]}, "needs a whole number as its id"),
    ],
)  # fmt: skip
def test_damaged_coco_names_the_entry(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        mw.read(coco(tmp_path, **changes))


def test_coco_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = coco(tmp_path)
    path.write_text(path.read_text()[:-10])
    with pytest.raises(DataError, match="not JSON"):
        mw.read(path)


def test_run_lengths_of_another_size_are_refused(tmp_path: Path) -> None:
    entry = {"id": 1, "image_id": 7, "category_id": 3, "segmentation": {"size": [20, 40], "counts": [10, 5]}}
    with pytest.raises(DataError, match="one.png: its run lengths cover 15 pixels of 800"):
        mw.read(coco(tmp_path, annotations=[entry]), kinds={"label": "mask"})


def yolo(folder: Path, name: str, *lines: str, part: str = "train") -> None:
    picture(folder / part / "images" / f"{name}.png")
    path = folder / part / "labels" / f"{name}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))


def test_yolo_is_read_with_the_names_of_its_classes(tmp_path: Path) -> None:
    yolo(tmp_path, "a", "1 0.5 0.5 0.5 0.4", "0 0.1 0.1 0.5 0.1 0.5 0.8")
    yolo(tmp_path, "b", "1 0.25 0.5 0.1 0.1", part="valid")
    picture(tmp_path / "train" / "images" / "none.png")
    for name, text in (("classes.txt", "cat\ndog\n"), ("data.yaml", "names:\n  0: cat\n  1: dog\n")):
        (tmp_path / name).write_text(text)
        data = mw.read(tmp_path)
        assert boxes(data.training) == [[("dog", 10, 6, 30, 14), ("cat", 4, 2, 20, 16)], []]
        assert boxes(data.validation) == [[("dog", 8, 9, 12, 11)]]
        (tmp_path / name).unlink()
    assert boxes(mw.read(tmp_path).training)[0][0][0] == "1"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7 0.5 0.5 0.2 0.2", "line 1 of its text file is of the class 7, and 1 classes are named"),
        ("0 0.5 0.5 0.2", "has 4 numbers"),
        ("cat 0.5 0.5 0.2 0.2", "is no row of numbers"),
        ("0 0.5 0.5 0.0 0.2", "has no area"),
        ("0 0.95 0.5 0.4 0.2", "over the border"),
    ],
)
def test_a_bad_line_of_yolo_is_named(tmp_path: Path, line: str, message: str) -> None:
    yolo(tmp_path, "a", line)
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=f"a.png: .*{message}"):
        mw.read(tmp_path)


def mask(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def test_masks_beside_images_have_their_values_and_the_size_of_all(tmp_path: Path) -> None:
    values = np.zeros((20, 40), np.uint8)
    values[5:15, 10:30] = 3
    for part, name in (("train", "a"), ("train", "b"), ("test", "c")):
        picture(tmp_path / part / "images" / f"{name}.png")
        mask(tmp_path / part / "masks" / f"{name}_mask.png", values)
    picture(tmp_path / "train" / "images" / "d.png")
    data = mw.read(tmp_path, image_size=(10, 20))
    assert data.columns["label"].kind == "mask"
    assert (len(data.training), len(data.test), data.labelled.sum()) == (3, 1, 3)
    assert data.take("label").shape == (4, 10, 20)
    assert sorted(np.unique(data.take("label"))) == [0, 3]


def test_a_mask_of_another_size_or_in_colours_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / "images" / f"{name}.png")
    mask(tmp_path / "masks" / "a.png", np.zeros((20, 40), np.uint8))
    mask(tmp_path / "masks" / "b.png", np.zeros((20, 30), np.uint8))
    mask(tmp_path / "masks" / "c.png", np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8))
    with pytest.raises(DataError, match="b.png: its mask has 30x20 pixels, the picture 40x20.*pixels are colours"):
        mw.read(tmp_path)
    assert len(mw.read(tmp_path, bad_rows="skip")) == 1


def instances(folder: Path, name: str, count: int = 2) -> None:
    picture(folder / name / "images" / f"{name}.png")
    (folder / name / "masks").mkdir()
    for number in range(count):
        values = np.zeros((20, 40), np.uint8)
        values[3:9, 10 * number : 10 * number + 8] = 255
        mask(folder / name / "masks" / f"object-{number}.png", values)


def test_a_folder_of_masks_a_picture_holds_instances(tmp_path: Path) -> None:
    for name, count in (("a", 2), ("b", 3), ("c", 0)):
        instances(tmp_path, name, count)
    data = mw.read(tmp_path)
    numbers = data.take("label")
    assert (data.columns["label"].kind, numbers.dtype) == ("instances", np.int32)
    assert numbers.max(axis=(1, 2)).tolist() == [2, 3, 0]
    assert (numbers[0] > 0).sum() == 2 * 6 * 8
    whole = mw.read(tmp_path, kinds={"label": "mask"}).take("label")
    assert ((whole == 1) == (numbers > 0)).all()
    found = mw.read(tmp_path, kinds={"label": "boxes"})
    assert boxes(found) == [
        [("object", 0, 3, 8, 9), ("object", 10, 3, 18, 9)],
        [("object", 0, 3, 8, 9), ("object", 10, 3, 18, 9), ("object", 20, 3, 28, 9)],
        [],
    ]


def test_masks_may_be_arrays_or_files_that_a_table_names(tmp_path: Path) -> None:
    values = np.zeros((4, 8, 8), np.int64)
    values[:, 2:5, 2:5] = 1
    images = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    for source in ((images, values), {"image": images, "label": values}):
        data = mw.read(source)
        assert (data.columns["label"].kind, data.take("label").sum()) == ("mask", values.sum())
    assert mw.read((images, values), kinds={"label": "instances"}).take("label").dtype == np.int32
    with pytest.raises(DataError, match="hold numbers from -1 to 0"):
        mw.read((images, values - 1))
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
        mask(tmp_path / f"{name}-m.png", np.full((20, 40), 7, np.uint8))
    (tmp_path / "rows.csv").write_text("image,what\na.png,a-m.png\nb.png,b-m.png\n")
    data = mw.read(tmp_path / "rows.csv", label="what", kinds={"what": "mask"})
    assert data.inputs[0].name == "image"
    assert (data.take("what") == 7).all()


def test_boxes_may_be_lists_or_what_hugging_face_has() -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 20, 40, 3), np.uint8)
    columns = (
        [[["cat", 1, 2, 3, 4]], []],
        [[{"label": "cat", "box": [1, 2, 3, 4]}], []],
        [{"bbox": [[1, 2, 2, 2]], "category": ["cat"]}, {"bbox": [], "category": []}],
    )
    for column in columns:
        data = mw.read({"image": images, "label": column})
        assert boxes(data) == [[("cat", 1, 2, 3, 4)], []], column
    with pytest.raises(DataError, match=r"in row 1 \(rows count from 0\) the box \(3, 2, 3, 4\) of cat has no area"):
        mw.read({"image": images, "label": [[], [["cat", 3, 2, 3, 4]]]}, kinds={"label": "boxes"})


def test_a_folder_of_instances_gives_several_labels(tmp_path: Path) -> None:
    instances(tmp_path, "a", 2)
    instances(tmp_path, "b", 3)
    data = mw.read(tmp_path, label=("instances", "boxes"))
    assert [(column.name, column.kind) for column in data.labels] == [("instances", "instances"), ("boxes", "boxes")]
    assert [len(boxes_in(cell)) for cell in data.take("boxes")] == data.take("instances").max(axis=(1, 2)).tolist()


def test_folders_say_the_part_and_names_of_pictures_do_not(tmp_path: Path) -> None:
    voc(tmp_path / "voc", "test_1", ("cat", 1, 2, 30, 18))
    yolo(tmp_path / "yolo", "test 2", "0 0.5 0.5 0.5 0.5")
    picture(tmp_path / "flat" / "images" / "test.png")
    mask(tmp_path / "flat" / "masks" / "test.png", np.ones((20, 40), np.uint8))
    instances(tmp_path / "each" / "train", "test")
    instances(tmp_path / "each" / "test", "a")
    for folder, tested in (("voc", 0), ("yolo", 0), ("flat", 0), ("each", 1)):
        data = mw.read(tmp_path / folder)
        assert (len(data.training), len(data.test)) == (1, tested), folder
