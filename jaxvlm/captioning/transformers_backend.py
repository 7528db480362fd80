"""Captions from Qwen2.5-VL on this machine, through transformers and PyTorch (extra "captions").

transformers' own processor for it wants torchvision, for videos. Pictures need only its image
processor and tokenizer, and as many image tokens in the text as a picture gives: t·h·w / m² for
its grid of t·h·w patches, of which m·m are merged into one.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
from huggingface_hub import snapshot_download

from jaxvlm.captioning.pictures import read_frame
from jaxvlm.captioning.request import MORE, MORE_TOKENS, Answer, Ask, Request, one_line
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure


class QwenModel(NamedTuple):
    """Qwen2.5-VL ready for pictures; ``text`` is the rendered prompt with one image token."""

    model: Any
    tokenizer: Any
    image_processor: Any
    text: str
    image_token: str
    size: dict[str, int]  # fewest and most pixels


def transformers_backend(request: Request, *, batch_size: int = 4) -> Ask:
    """A backend that runs the model here: on the accelerator that PyTorch finds, else on the CPU.

    Decoding is greedy; weights keep the precision they are stored in. The model is loaded for the
    first frame.

    Raises, when used:
      InputError: see ``load_qwen``; no memory for a batch.
    """

    def ask(paths: Iterable[Path]) -> Iterator[list[Answer]]:
        paths, qwen = iter(paths), None
        while batch := list(itertools.islice(paths, batch_size)):
            qwen = qwen or load_qwen(request)
            import torch

            answers, good, pictures = [], [], []
            for path in batch:
                try:
                    pictures.append(read_frame(path))
                    good.append(path)
                except ITEM_ERRORS as error:
                    answers.append(Answer(path, None, item_failure(error, path)))
            if good:
                try:
                    texts = _whole(qwen, pictures)
                except torch.OutOfMemoryError:
                    raise InputError(
                        f"{len(good)} frames do not fit into the memory of {qwen.model.device}; "
                        f"lower --batch_size or --max_pixels"
                    ) from None
                cut = f"cut at {MORE[-1] * request.max_new_tokens:,} tokens; {MORE_TOKENS}"
                answers += [
                    Answer(path, text, cut if text is None else "")
                    for path, text in zip(good, texts, strict=True)
                ]
            yield answers

    return ask


def load_qwen(request: Request) -> QwenModel:
    """Loads model, tokenizer and image processor from a folder or by hub id.

    No code of the repository is run, and weights are read from safetensors only.

    Raises:
      InputError: PyTorch is not installed; no such model; another model than Qwen2.5-VL; a file of
        it is missing or broken; a chat template without a place for a picture.
    """
    try:
        import torch
        import transformers
        from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
    except ImportError as error:
        raise InputError(
            f"--backend=transformers: no PyTorch here ({one_line(error)}); "
            f"pip install 'jaxvlm[captions]', or take --backend=openai"
        ) from None
    name = _folder(request.model)
    try:
        config, _ = transformers.PretrainedConfig.get_config_dict(name)
        if config.get("model_type") != "qwen2_5_vl":
            raise InputError(
                f"{name}: is {config.get('model_type', 'no model')}, not Qwen2.5-VL (qwen2_5_vl); "
                f"serve it with an engine that knows it and take --backend=openai"
            )
        if not any((name / file).is_file() for file in ("tokenizer.json", "vocab.json")):
            raise OSError("no tokenizer.json")  # transformers ends in a TypeError
        tokenizer = transformers.Qwen2TokenizerFast.from_pretrained(name)
        image_processor = transformers.Qwen2VLImageProcessor.from_pretrained(name)
        processor, _ = Qwen2_5_VLProcessor.get_processor_dict(name)
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            name, use_safetensors=True, trust_remote_code=False, dtype="auto"
        )
    except InputError:
        raise
    # A file is missing or of another form.
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{name}: cannot be loaded ({one_line(error)}); download the model again"
        ) from None
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    model.to(device).eval()
    stop = model.generation_config.eos_token_id
    stop = tokenizer.eos_token_id if stop is None else stop
    # Anew: the checkpoint's own asks for sampling, and for a penalty on words of the prompt.
    model.generation_config = transformers.GenerationConfig(
        do_sample=False,
        max_new_tokens=request.max_new_tokens,
        eos_token_id=stop,
        pad_token_id=tokenizer.pad_token_id,
    )
    image_token = tokenizer.convert_ids_to_tokens(model.config.image_token_id)
    text = _render(tokenizer, processor.get("chat_template"), request)
    if text.count(image_token) != 1:
        raise InputError(
            f"{name}: its chat template has no place for a picture ({image_token}); "
            f"take the model's own template"
        )
    size = dict(image_processor.size)
    size["longest_edge"] = min(size["longest_edge"], request.max_pixels)
    return QwenModel(model, tokenizer, image_processor, text, image_token, size)


def prepare(qwen: QwenModel, pictures: list[np.ndarray]) -> dict[str, Any]:
    """The model's inputs for N pictures [H, W, 3] uint8, texts padded on the left."""
    inputs = qwen.image_processor(
        pictures, size=qwen.size, input_data_format="channels_last", return_tensors="pt"
    )
    counts = inputs["image_grid_thw"].prod(-1) // qwen.image_processor.merge_size**2
    texts = [qwen.text.replace(qwen.image_token, qwen.image_token * int(n)) for n in counts]
    tokens = qwen.tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
    return {**tokens, **inputs}


def generate(qwen: QwenModel, pictures: list[np.ndarray], *, more: int = 1) -> list[str | None]:
    """The answers to the prompt for N pictures [H, W, 3] uint8, in one batch.

    None for an answer that is not at its end after ``more`` times the request's tokens.
    """
    import torch

    inputs = {name: value.to(qwen.model.device) for name, value in prepare(qwen, pictures).items()}
    settings = qwen.model.generation_config
    with torch.inference_mode():
        tokens = qwen.model.generate(**inputs, max_new_tokens=more * settings.max_new_tokens)
    new = tokens[:, inputs["input_ids"].shape[1] :]
    texts = qwen.tokenizer.batch_decode(new, skip_special_tokens=True)
    ends = _at_their_end(new, settings.eos_token_id)
    return [text if end else None for text, end in zip(texts, ends, strict=True)]


def _at_their_end(tokens: Any, stops: int | list[int]) -> list[bool]:
    """Of [N, L] tokens, in which rows one of the stop tokens is."""
    import torch

    return torch.isin(tokens, torch.as_tensor(stops, device=tokens.device)).any(dim=1).tolist()


def _whole(qwen: QwenModel, pictures: list[np.ndarray]) -> list[str | None]:
    """`generate`, with more tokens for the answers that need them."""
    texts = generate(qwen, pictures)
    for more in MORE:
        cut = [place for place, text in enumerate(texts) if text is None]
        if cut:
            again = generate(qwen, [pictures[place] for place in cut], more=more)
            for place, text in zip(cut, again, strict=True):
                texts[place] = text
    return texts


def _folder(path_or_hub_id: str) -> Path:
    """The folder itself, or the hub's snapshot without code and pickled weights."""
    folder = Path(path_or_hub_id).expanduser()
    if folder.is_dir():
        return folder
    patterns = ["*.json", "*.txt", "*.jinja", "*.safetensors"]
    try:
        return Path(snapshot_download(path_or_hub_id, allow_patterns=patterns))
    # Every failure of the hub client is an OSError or a ValueError.
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path_or_hub_id}: no such folder, not in the hub's cache and not to be had from the "
            f"hub ({type(error).__name__}); check the path or id, or download it where there is a "
            "network"
        ) from None


def _render(tokenizer: Any, template: str | None, request: Request) -> str:
    """The prompt in the model's dialogue form; a template of the processor comes first."""
    if not (template or tokenizer.chat_template):
        raise InputError(f"{request.model}: no chat template; add chat_template.jinja")
    content = [{"type": "image"}, {"type": "text", "text": request.prompt}]
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        chat_template=template,
        tokenize=False,
        add_generation_prompt=True,
    )
