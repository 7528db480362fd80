"""Training CLIP's kind of tokenizer: byte-level BPE whose words end in </w>."""

import json
from collections.abc import Sequence

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(sentences: Sequence[str], vocab_size: int = 1200) -> Tokenizer:
    """CLIP's byte-level BPE, trained on ``sentences``; any text can be encoded with it.

    The parts and their order are those of transformers' CLIPTokenizerFast.
    """
    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS],
        show_progress=False,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
    )
    tokenizer.train_from_iterator(sentences, trainer)
    # Every byte must also exist as the end of a word, or rare words would have no tokens.
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    for symbol in alphabet:
        vocabulary.setdefault(symbol + "</w>", len(vocabulary))
    merges = _merges(tokenizer)
    tokenizer.model = BPE(
        vocabulary, merges, end_of_word_suffix="</w>", continuing_subword_prefix=""
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=(EOS, tokenizer.token_to_id(EOS)),
        cls=(BOS, tokenizer.token_to_id(BOS)),
        add_prefix_space=False,
        trim_offsets=False,
    )
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> np.ndarray:
    """[N, length] int32, padded with the end token (CLIP pools at the first one)."""
    eos = tokenizer.token_to_id(EOS)
    rows = np.full((len(texts), length), eos, np.int32)
    for row, encoding in zip(rows, tokenizer.encode_batch(list(texts)), strict=True):
        row[: len(encoding.ids)] = encoding.ids[:length]
        row[-1] = eos
    return rows


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:

    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
