"""Training CLIP's kind of tokenizer: byte-level BPE whose words end in </w>."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import BPE

from jaxvlm.clip.tokenizer import byte_level_bpe

BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(sentences: Sequence[str], vocab_size: int = 1200) -> Tokenizer:
    """CLIP's byte-level BPE, trained on ``sentences``; any text can be encoded with it."""
    tokenizer = byte_level_bpe()
    words: Counter[tuple[str, ...]] = Counter()
    for sentence in sentences:
        text = tokenizer.normalizer.normalize_str(sentence)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text):
            words[(*word[:-1], word[-1] + "</w>")] += 1
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Every byte also exists as the end of a word, or rare words would have no tokens.
    symbols = [BOS, EOS, *alphabet, *(symbol + "</w>" for symbol in alphabet)]
    merges = learn_merges(words, vocab_size - len(symbols))
    names = dict.fromkeys([*symbols, *("".join(pair) for pair in merges)])
    tokenizer.model = BPE(
        {name: index for index, name in enumerate(names)},
        merges,
        end_of_word_suffix="</w>",
        continuing_subword_prefix="",
    )
    tokenizer.add_special_tokens([BOS, EOS])
    tokenizer.post_processor = processors.RobertaProcessing(
        (EOS, tokenizer.token_to_id(EOS)),
        (BOS, tokenizer.token_to_id(BOS)),
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


def learn_merges(words: Mapping[tuple[str, ...], int], count: int) -> list[tuple[str, str]]:
    """At most ``count`` merges of byte-pair encoding: the most frequent pair of symbols, again
    and again (Sennrich et al. 2016). Of equally frequent pairs the first in sorted order, where
    the library's trainer lets a random hash decide.
    """
    words = dict(words)
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, times in words.items():
            merged[_merge(word, best)] += times
        words = dict(merged)
    return merges


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    result: list[str] = []
    for symbol in word:
        if result and (result[-1], symbol) == pair:
            result[-1] += symbol
        else:
            result.append(symbol)
    return tuple(result)
