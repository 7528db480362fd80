"""Tokenise: prompts to token ids, padded to the shortest bucket that holds them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing

from jaxvlm import files
from jaxvlm.clip.config import ClipConfig
from jaxvlm.errors import InputError

START, END = "<|startoftext|>", "<|endoftext|>"
BUCKETS = (16, 32, 77)
_WORDS = {"end_of_word_suffix": "</w>", "continuing_subword_prefix": ""}


def read_tokenizer(folder: Path, config: ClipConfig) -> Tokenizer | None:
    """The folder's tokenizer (``tokenizer.json``, or ``vocab.json`` + ``merges.txt``), or None.

    It frames every text with the start and end token and neither pads nor truncates. Raises
    InputError if the files are broken or the end token is not where the text tower pools.
    """
    if (folder / "tokenizer.json").is_file():
        source = folder / "tokenizer.json"
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        source = folder / "vocab.json"
    else:
        return None
    try:
        tokenizer = _open(source)
    except InputError:
        raise
    # The tokenizers library raises bare Exception for anything wrong in a file.
    except Exception as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{source}: not a tokenizer ({cause}); take an intact copy") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    _frame(source, tokenizer)
    _require_pooling(source, tokenizer, config)
    return tokenizer


def byte_level_bpe(model: BPE | None = None) -> Tokenizer:
    """CLIP's tokenizer around a vocabulary, without start and end: lower case, words and bytes.

    The parts and their order are those of transformers' CLIPTokenizerFast.
    """
    tokenizer = Tokenizer(BPE(**_WORDS) if model is None else model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def end_token_id(tokenizer: Tokenizer) -> int:
    """The id of the end token, at which the text tower pools."""
    return tokenizer.encode("").ids[-1]


def clean_text(text: str) -> str:
    """A text as CLIP's own tokenizer cleans it before it takes it apart: curly quotes straight,
    ligatures, wrongly decoded bytes and HTML's entities as the characters that they stand for.

    OpenAI's models were trained on such text; the tokenizer files of a hub do not hold this step.
    Source: openai/CLIP, simple_tokenizer (ftfy, then html.unescape twice).
    """
    if (
        text.isascii() and text.isprintable() and "&" not in text
    ):  # nothing to mend; 60 times faster
        return text.strip()
    import ftfy  # which most texts do not need

    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each cleaned text, start and end token included, however many."""
    cleaned = [clean_text(text) for text in texts]
    return [encoding.ids for encoding in tokenizer.encode_batch(cleaned)]


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], max_length: int, *, truncate: bool = False
) -> list[list[int]]:
    """`token_ids` of each text, at most ``max_length`` of them.

    Raises InputError for a longer prompt, unless ``truncate``: then the end token stays last.
    """
    rows = token_ids(tokenizer, texts)
    for i, ids in enumerate(rows):
        if len(ids) <= max_length:
            continue
        if not truncate:
            raise InputError(
                f"prompt {_shortened(texts[i])}: {len(ids)} tokens, the text tower takes "
                f"{max_length}; shorten it"
            )
        rows[i] = ids[: max_length - 1] + ids[-1:]
    return rows


def bucket_lengths(max_length: int) -> tuple[int, ...]:
    """The static lengths that reach the text tower; the last one holds every prompt."""
    return tuple(length for length in BUCKETS if length < max_length) + (max_length,)


def pad_rows(rows: Sequence[Sequence[int]], shape: tuple[int, int], end: int) -> np.ndarray:
    """[rows, length] int32, filled up with the end token.

    The end token is right for both ways the tower pools, at the first end token or at the first
    highest id (``eos_token_id`` 2), since the first one stays where the text put it.
    """
    padded = np.full(shape, end, np.int32)
    for i, ids in enumerate(rows):
        padded[i, : len(ids)] = ids
    return padded


def _open(source: Path) -> Tokenizer:
    files.read_json(source)  # is within bounds
    if source.name == "tokenizer.json":
        return Tokenizer.from_file(str(source))
    merges = source.with_name("merges.txt")
    tokenizer = byte_level_bpe(BPE.from_file(str(source), str(merges), unk_token=END, **_WORDS))
    tokenizer.add_special_tokens([START, END])
    return tokenizer


def _frame(source: Path, tokenizer: Tokenizer) -> None:
    """A tokenizer.json may have been saved without the step that adds start and end."""
    if len(tokenizer.encode("").ids) == 2:
        return
    tokens = [(token, tokenizer.token_to_id(token)) for token in (START, END)]
    missing = [token for token, i in tokens if i is None]
    if missing:
        raise InputError(f"{source}: no token {missing[0]}; add it, a CLIP text needs it")
    tokenizer.post_processor = TemplateProcessing(single=f"{START} $A {END}", special_tokens=tokens)


def _require_pooling(source: Path, tokenizer: Tokenizer, config: ClipConfig) -> None:
    last, end = max(tokenizer.get_vocab().values()), end_token_id(tokenizer)
    text = config.text_config
    if last >= text.vocab_size:
        raise InputError(
            f"{source}: ids up to {last}, the configuration has a vocab_size of {text.vocab_size}; "
            "take tokenizer and configuration from the same model"
        )
    # eos_token_id 2 is the convention of the first CLIP configurations: pool at the highest id.
    pooled = last if text.eos_token_id == 2 else text.eos_token_id
    if end != pooled:
        raise InputError(
            f"{source}: the end token has id {end}, the text tower pools at id {pooled}; "
            f"make the end token the last one and set text_config.eos_token_id in config.json"
        )


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else text[:57] + "...")
