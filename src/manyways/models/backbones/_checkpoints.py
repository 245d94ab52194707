"""Checkpoints of the transformers library: safetensors only, no remote code, folders without network."""

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from manyways.checked_json import brief, read
from manyways.damaged import damaged, reason
from manyways.data.encoders.base import CheckpointTokenizer, Writing
from manyways.errors import ManywaysError, ModelError, NeedsError
from manyways.hub import one_try
from manyways.models.backbones._checkpoint_folders import check_folder, check_sizes, facts, refuse_kernels
from manyways.models.backbones._sentence_encoders import SentenceEncoder, sentence_encoder
from manyways.models.rebuilding import Within
from manyways.models.tensor_files import read_tensor

Value = TypeVar("Value")

DEFAULT_TEXT_LENGTH = 512
"""Tokens, for checkpoints that state no limit."""
MOST_CHANNELS, MOST_SAMPLES = 1_000, 1_000_000
GGUF = ".gguf"
UNLIMITED = 10**9
"""Tokenizers without a limit state an absurdly large one."""


def located(checkpoint: str) -> tuple[str, dict[str, Any]]:
    """The folder or Hub name of `checkpoint`, and how transformers' `from_pretrained` reads it: without remote code.

    A .gguf file is read out of its folder. Raises ModelError where a folder holds no checkpoint or not all of it, and
    NeedsError where the library that reads .gguf is not there.
    """
    path = Path(checkpoint)
    if path.suffix.lower() == GGUF:
        if not path.is_file():
            raise ModelError(f"There is no file {checkpoint!r}. Give the path of a .gguf file on this machine.")
        try:
            import gguf  # noqa: F401
        except ImportError as error:
            raise NeedsError(".gguf files need the gguf library: pip install 'manyways[language]'.") from error
        return str(path.parent), {"trust_remote_code": False, "local_files_only": True, "gguf_file": path.name}
    if path.is_dir():
        check_folder(path)
    return checkpoint, {"trust_remote_code": False, "local_files_only": path.is_dir()}


def read_weights(checkpoint: str, model_class: Any, dtype: torch.dtype, **more: Any) -> tuple[Any, dict[str, Any]]:
    """The model of `checkpoint` with weights of `dtype`, those of a .gguf file expanded to it, and a report of both."""
    place, options = located(checkpoint)
    options |= {"dtype": dtype, "output_loading_info": True, **more}
    silence: AbstractContextManager[Any] = nullcontext()
    if "gguf_file" in options:
        from transformers import GgufConfig

        options["quantization_config"] = GgufConfig(dequantize=True)
        silence = redirect_stderr(io.StringIO())  # a progress bar that nothing else turns off
    else:
        options["use_safetensors"] = True
        if not Path(checkpoint).is_dir():  # that of a folder was looked at when it was located
            refuse_kernels(_hub_config(place), checkpoint)
    with quiet(), silence, _within_weights(Path(checkpoint)):
        model, report = guarded(checkpoint, lambda: model_class.from_pretrained(place, **options))
    return model, report


def _within_weights(folder: Path) -> AbstractContextManager[Any]:
    """Keeps the network of a folder within what its weights hold; of other checkpoints nothing is known before."""
    if not folder.is_dir():
        return nullcontext()
    return Within(facts(folder), folder)


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The model of a transformers config, with random weights. Raises ModelError on an unknown type."""
    transformers = transformers_library()
    values = dict(architecture)
    check_sizes(values, 0, "The saved description of the network")
    refuse_kernels(values, "the saved architecture")
    try:
        kind = transformers.CONFIG_MAPPING[values.get("model_type", "")]
    except KeyError as error:
        raise ModelError(
            f"The installed transformers {transformers.__version__} does not know the model type {error}; "
            "upgrade it: pip install --upgrade transformers."
        ) from error
    try:
        config = kind.from_dict(values)
        model: nn.Module = _used_part(transformers.AutoModel.from_config(config, trust_remote_code=False), config)
    except ManywaysError:
        raise
    except Exception as error:  # what a config may hold is checked by many hands, in as many ways
        raise ModelError(f"The saved description of the network is damaged: {reason(error)}.") from error
    return model


def load(checkpoint: str) -> tuple[Any, dict[str, Any]]:
    """The model of a folder or Hub name with its weights in float32, and its config as JSON values.

    Raises ModelError when it does not exist, is damaged, holds pickled weights only, or lacks weights.
    """
    transformers = transformers_library()
    place, options = located(checkpoint)
    config = guarded(checkpoint, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    if getattr(config, "apply_spec_augment", False):
        # It masks with NumPy's global generator, out of reach of a run's seed; augmenting is the views' task.
        config.apply_spec_augment = False
    body, missing = _read_weights(checkpoint, transformers.AutoModel, config)
    stated = getattr(transformers, stated_architecture(config), None)
    if missing and stated is not None:
        # Tied embeddings may be stored under the name of the head, which only the whole model knows.
        body, missing = _read_weights(checkpoint, stated, config)
    if missing:
        raise ModelError(
            f"The checkpoint {checkpoint!r} lacks {len(missing)} weights of its own architecture, the first "
            f"is {missing[0]!r}; it is damaged or was saved from another model."
        )
    return body, json.loads(config.to_json_string(use_diff=False))


def stated_architecture(config: Any) -> str:
    """The class that a config names as that of its network; empty where it names none."""
    named = getattr(config, "architectures", None)
    first = named[0] if isinstance(named, list | tuple) and named else ""
    return first if isinstance(first, str) else ""


def _read_weights(checkpoint: str, model_class: Any, config: Any) -> tuple[Any, list[str]]:
    """The part of the model that gives features, and the names of its weights that the checkpoint lacks."""
    model, report = read_weights(checkpoint, model_class, torch.float32, config=config)
    # That of a network of timm is a plain module, of which its wrapper makes a model of transformers.
    base = model.base_model if hasattr(model.base_model, "main_input_name") else model
    body = _used_part(base, config)
    used = {id(parameter) for parameter in body.parameters()}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in used}
    return body, sorted(names & set(report["missing_keys"]))


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bar and the report of unused weights, whose news `load` raises itself."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def file_of(checkpoint: str, name: str) -> Path | None:
    """The place of the file `name` of a checkpoint on this machine; None where it has none."""
    folder = Path(checkpoint)
    if folder.exists():
        path = folder / name
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    find = partial(cached_file, checkpoint, name, _raise_exceptions_for_missing_entries=False)
    file = guarded(checkpoint, find)
    return Path(file) if file else None


def opened(checkpoint: str) -> tuple[SentenceEncoder | None, str]:
    """The modules of a checkpoint of sentence-transformers, or None, and where its transformers checkpoint lies.

    Raises ModelError where its modules are not read here.
    """
    with damaged(f"The modules of {checkpoint!r} cannot be read", ModelError, "Copy it again."):
        encoder = sentence_encoder(partial(file_of, checkpoint))
    if encoder is None or not encoder.folder:
        return encoder, checkpoint
    if not Path(checkpoint).is_dir():
        raise ModelError(
            f"The checkpoint {checkpoint!r} holds its network in a folder of its own, {encoder.folder}; download it "
            "and give the folder."
        )
    dense = tuple((f"../{path}", layer) for path, layer in encoder.dense)
    return replace(encoder, dense=dense), str(Path(checkpoint) / encoder.folder)


def fill_dense(layers: nn.ModuleList, encoder: SentenceEncoder, checkpoint: str) -> None:
    """Put the weights of the checkpoint into its dense `layers`. Raises ModelError where they do not fit."""
    linear = [layer for layer in layers.modules() if isinstance(layer, nn.Linear)]
    for layer, (path, _) in zip(linear, encoder.dense, strict=True):
        place = file_of(checkpoint, f"{path}/model.safetensors")
        if place is None:
            raise ModelError(
                f"The layer {path} of {checkpoint!r} has no model.safetensors, and a pickle is never loaded. Save it "
                "again with sentence-transformers, which writes safetensors."
            )
        weights = {name: read_tensor(place, f"linear.{name}") for name, _ in layer.named_parameters()}
        with damaged(f"{place} does not fit its config.json", ModelError, "Copy the checkpoint again."):
            layer.load_state_dict(weights)


def input_name(checkpoint: str) -> str:
    """The name of the main input of a checkpoint's network, which its config tells without any weights."""
    transformers = transformers_library()
    place, options = located(checkpoint)
    config = guarded(checkpoint, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    kind = guarded(checkpoint, lambda: transformers.MODEL_MAPPING[type(config)])
    kind = kind[0] if isinstance(kind, tuple | list) else kind
    return str(getattr(kind, "main_input_name", "input_ids"))


def image_settings(checkpoint: str, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Size (height, width), mean and std per channel that the checkpoint's images are prepared with.

    Where it does not say: its architecture's size or 224, and 0.5, with a warning.
    """
    saved = _preprocessor(checkpoint)
    with damaged(f"The preprocessor_config.json of {checkpoint!r} cannot be used", ModelError, "Copy it again."):
        return _image_settings(checkpoint, architecture, saved)


def _image_settings(checkpoint: str, architecture: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    stated = saved.get("crop_size") or saved.get("size") or {}
    size = architecture.get("image_size") or stated or 224
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge", 224)
        size = [size.get("height", edge), size.get("width", edge)]
    channels = architecture.get("num_channels", 3)
    if not (isinstance(channels, int) and 0 < channels <= MOST_CHANNELS):
        raise ModelError(f"The checkpoint {checkpoint!r} reads images of {brief(channels)} channels; it is damaged.")
    if "image_mean" not in saved or "image_std" not in saved:
        warnings.warn(
            f"The checkpoint {checkpoint!r} states no image_mean and image_std in preprocessor_config.json; "
            "0.5 is used for both.",
            stacklevel=2,
        )
    return {
        "size": [int(size), int(size)] if isinstance(size, int | float) else [int(side) for side in size],
        "mean": list(saved.get("image_mean", [0.5] * channels)),
        "std": list(saved.get("image_std", [0.5] * channels)),
    }


def audio_settings(checkpoint: str) -> tuple[int, bool]:
    """Samples per second, and whether each clip is standardised. Raises ModelError if no rate is stated."""
    saved = _preprocessor(checkpoint)
    if "sampling_rate" not in saved:
        raise ModelError(f"The checkpoint {checkpoint!r} states no sampling_rate in preprocessor_config.json; add it.")
    rate = saved["sampling_rate"]
    if not (isinstance(rate, int) and 0 < rate <= MOST_SAMPLES):
        raise ModelError(f"The checkpoint {checkpoint!r} hears {brief(rate)} samples per second; it is damaged.")
    return rate, bool(saved.get("do_normalize", True))


def load_tokenizer(checkpoint: str) -> CheckpointTokenizer:
    """The tokenizer of a checkpoint.

    Where there is no padding token, the end-of-text token serves: only the run of it at the end of a row is taken for
    padding. Raises ModelError where there is no tokenizer or neither token.
    """
    transformers = transformers_library()
    encoder, checkpoint = opened(checkpoint)
    place, options = located(checkpoint)
    tokenizer = open_tokenizer(checkpoint, place, **options)
    config = guarded(checkpoint, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    if padding is None:
        raise ModelError(f"The tokenizer of {checkpoint!r} has neither a padding nor an end-of-text token.")
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    limits.append(DEFAULT_TEXT_LENGTH if encoder is None or encoder.length is None else encoder.length)
    stated = [int(limit) for limit in limits if limit is not None and 0 < limit < UNLIMITED]
    mask = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.unk_token_id or padding
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    return CheckpointTokenizer(backend, min(stated), int(padding), int(mask), writing=_writing(config, checkpoint))


def _writing(config: Any, checkpoint: str) -> Writing | None:
    """The special tokens by which a checkpoint with a decoder writes. Raises ModelError where it states none."""
    if not getattr(config, "is_encoder_decoder", False):
        return None
    kind = transformers_library().GenerationConfig
    stated = file_of(checkpoint, "generation_config.json")
    generation = guarded(checkpoint, lambda: kind.from_pretrained(str(stated.parent)) if stated else kind())
    names = ("decoder_start_token_id", "eos_token_id", "pad_token_id", "forced_bos_token_id")
    either = [[getattr(place, name, None) for place in (generation, config)] for name in names]
    start, end, padding, first = (one if one is not None else other for one, other in either)
    end = end[0] if isinstance(end, list) and end else end
    if not isinstance(start, int) or not isinstance(end, int):
        raise ModelError(
            f"The checkpoint {checkpoint!r} states no decoder_start_token_id or no eos_token_id, so nobody knows how a "
            "text begins and ends. Add them to its generation_config.json."
        )
    never = {token for token in (start, padding) if isinstance(token, int)} - {end, first}
    return Writing(start, end, tuple(sorted(never)), (first,) if isinstance(first, int) else ())


def open_tokenizer(checkpoint: str, place: str, **options: Any) -> Any:
    """The tokenizer at `place`, which has read a text. Raises ModelError, with the checkpoint, where it cannot."""

    def tried() -> Any:
        tokenizer = transformers_library().AutoTokenizer.from_pretrained(place, **options)
        tokenizer("a", verbose=False)  # what its config states is looked at when it reads
        return tokenizer

    with quiet():
        return guarded(checkpoint, tried)


def transformers_library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise NeedsError(
            "Pretrained checkpoints need the transformers library: pip install 'manyways[language]'."
        ) from error
    return transformers


def _used_part(model: Any, config: Any) -> Any:
    """The encoder of an encoder-decoder, and no pooler with weights: features are averaged hidden states."""
    body: Any = model.get_encoder() if getattr(config, "is_encoder_decoder", False) else model
    pooler = getattr(body, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        body.pooler = None
    body.main_input_name = model.main_input_name
    return body


def guarded(checkpoint: str, load: Callable[[], Value]) -> Value:
    """Return what `load` returns. Raises ModelError, with the checkpoint, where it cannot be read."""
    try:
        with nullcontext() if Path(checkpoint).exists() else one_try():
            return load()
    except ManywaysError:
        raise
    except BaseException as error:  # readers of files check little of what they read, and those in Rust may panic
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        file = Path(checkpoint).suffix.lower() == GGUF
        place = "file" if file else "folder" if Path(checkpoint).is_dir() else "Hub checkpoint"
        why = reason(error) if str(error).strip() else type(error).__name__
        raise ModelError(
            f"The {place} {checkpoint!r} cannot be loaded: {why}. Only weights in safetensors or .gguf are read, "
            "without remote code; a Hub name needs the network or an earlier download, files on this machine neither."
        ) from error


def _hub_config(name: str) -> Mapping[str, Any]:
    """Content of config.json of a checkpoint on the Hub; empty where it has none, as adapters have."""
    try:
        with one_try():
            found: Mapping[str, Any] = transformers_library().PreTrainedConfig.get_config_dict(name)[0]
    except (OSError, ValueError):
        return {}
    return found


def _preprocessor(checkpoint: str) -> dict[str, Any]:
    """Content of preprocessor_config.json; empty where there is none."""
    path = file_of(checkpoint, "preprocessor_config.json")
    return {} if path is None else dict(read(path, str(path), ModelError).members)
