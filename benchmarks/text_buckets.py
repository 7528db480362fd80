"""How much the text buckets save: length 77 against the shortest bucket, ViT-B/16's text tower.

Random weights, 200 label-like prompts; prints the median ratio and asserts nothing.
Run: python benchmarks/text_buckets.py
"""

import statistics
import time

import jax
import numpy as np
from transformers import CLIPConfig

from jaxvlm.clip import ClipModel, encode_token_ids, init_params
from jaxvlm.clip.architecture import describe
from jaxvlm.clip.images import Preprocessing
from jaxvlm.clip.text import bucket_lengths, pad_rows

PROMPTS, BATCH = 200, 25
START, END = 49406, 49407


def text_model() -> ClipModel:
    """ViT-B/16's text tower (12 layers, 512 wide, 8 heads) beside a vision tower of one layer."""
    config = CLIPConfig(
        text_config={"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8},
        vision_config={"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1},
    )
    params = init_params(config, jax.random.key(0))
    return ClipModel(params, config, None, Preprocessing(224, 224), describe(config))


def label_prompts(rng: np.random.Generator) -> list[list[int]]:
    """Token ids of "a photo of a {label}": five to thirteen tokens between start and end."""
    return [
        [START, *rng.integers(300, START, rng.integers(5, 14)).tolist(), END]
        for _ in range(PROMPTS)
    ]


def seconds(model: ClipModel, rows: list[list[int]], length: int) -> float:
    padded = pad_rows(rows, (BATCH, length), END)
    start = time.perf_counter()
    encode_token_ids(model, padded).block_until_ready()
    return time.perf_counter() - start


def main() -> None:
    model = text_model()
    prompts = label_prompts(np.random.default_rng(0))
    lengths = bucket_lengths(77)
    batches = [prompts[i : i + BATCH] for i in range(0, PROMPTS, BATCH)]
    for length in lengths:
        seconds(model, batches[0], length)
    ratios = []
    for rows in batches:
        bucket = next(n for n in lengths if n >= max(map(len, rows)))
        ratios.append(seconds(model, rows, 77) / seconds(model, rows, bucket))
    print(
        f"{jax.devices()[0].platform}: {PROMPTS} prompts in batches of {BATCH}: "
        f"median ratio {statistics.median(ratios):.1f} "
        f"(middle half {np.quantile(ratios, 0.25):.1f} to {np.quantile(ratios, 0.75):.1f})"
    )


if __name__ == "__main__":
    main()
