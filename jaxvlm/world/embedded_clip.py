"""The embedded encoder: its architecture, its training from a seed, how it is measured."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.metrics import average_precision_score
from tokenizers import Tokenizer

from jaxvlm import clip, outputs
from jaxvlm.clip import familiarity
from jaxvlm.clip.config import ClipConfig, TextConfig, VisionConfig
from jaxvlm.data import videos
from jaxvlm.progress import Progress, ignore
from jaxvlm.world import clip_training, language
from jaxvlm.world.bpe import BOS, EOS, train_tokenizer
from jaxvlm.world.captioned_pictures import (
    IMAGE_SIZE,
    PATCH_SIZE,
    batches,
    normalise,
    render_pictures,
)
from jaxvlm.world.pictures import Picture, pictures
from jaxvlm.world.splits import write_split
from jaxvlm.world.train_config import TrainConfig
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, OBJECTS

_HELD_OUT = 1_000_003  # added to the seed; training pictures come from the seed itself
_TEMPLATES = ("a photo of {}", "a surveillance picture of {}", "a scene with {}")


def clip_config(tokenizer: Tokenizer) -> ClipConfig:
    """The architecture: ViT with 8-pixel patches at 64 pixels, a smaller text tower."""
    eos = tokenizer.token_to_id(EOS)
    return ClipConfig(
        text_config=TextConfig(
            hidden_size=128,
            intermediate_size=256,
            num_attention_heads=2,
            num_hidden_layers=2,
            max_position_embeddings=77,
            vocab_size=tokenizer.get_vocab_size(),
            bos_token_id=tokenizer.token_to_id(BOS),
            eos_token_id=eos,
            pad_token_id=eos,
            projection_dim=128,
        ),
        vision_config=VisionConfig(
            hidden_size=128,
            intermediate_size=256,
            num_attention_heads=4,
            num_hidden_layers=4,
            image_size=IMAGE_SIZE,
            patch_size=PATCH_SIZE,
            projection_dim=128,
        ),
        projection_dim=128,
    )


def train_embedded(
    out_dir: str | os.PathLike,
    config: TrainConfig,
    *,
    num_pictures: int = 48_000,
    seed: int = 0,
    on_progress: Progress = ignore,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Renders pictures, trains tokenizer and towers, writes a CLIP folder (float16 weights).

    The same seed gives the same pictures, batches and start; on one kind of machine, the same
    weights.
    """
    outputs.require_replaceable(out_dir, kind=clip.FOLDER)
    sentences = language.corpus(np.random.default_rng(seed), 20_000)
    tokenizer = train_tokenizer(sentences)
    data = render_pictures(seed, num_pictures, tokenizer, on_progress=on_progress)
    steps = config.constant_steps + config.decay_steps

    def report(step: int, losses: dict[str, jax.Array], params: Any) -> None:
        on_progress("train", step + 1, steps)
        if step % 500 == 499:
            parts = ", ".join(f"{name} {float(value):.3f}" for name, value in losses.items())
            say(f"step {step + 1} of {steps}: {parts}")

    params = clip_training.train(
        clip_config(tokenizer),
        batches(data, tokenizer, config.batch_size, seed),
        config,
        things=len(ATOMS) + len(OBJECTS),
        examples=normalise(data.images[:2_000]),
        seed=seed,
        report=report,
    )
    save_embedded(out_dir, params, tokenizer)


def save_embedded(out_dir: str | os.PathLike, params: Any, tokenizer: Tokenizer) -> None:
    """Writes the towers and the tokenizer in the Hugging Face layout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(str(path))
        clip.save(out_dir, params, clip_config(tokenizer), path, dtype="float16")


def write_familiar(
    folder: str | os.PathLike, *, seed: int = 0, num_pictures: int = 2_000, num_videos: int = 60
) -> None:
    """Writes what an encoder in ``folder`` was made on beside it: see `clip.familiarity`.

    Pictures are of the stream that training draws from. How much a video as a whole may differ from
    them is taken from rendered videos at a frame per second.
    """
    model = clip.load(folder)
    seen = [picture.image for picture in pictures(seed, num_pictures)]
    embeddings, _ = clip.encode_image_stream(model, seen)
    judged = []
    with tempfile.TemporaryDirectory() as temporary:
        split = write_split(Path(temporary) / "train", seed + _HELD_OUT, "train", num_videos)
        for path in sorted((split / "videos").iterdir()):
            frames = [frame.image for frame in videos.frames(path, fps=1.0)]
            judged.append(clip.encode_image_stream(model, frames)[0])
    familiar = familiarity.fit([row[None] for row in embeddings], judged)
    familiarity.save_familiar(folder, familiar)


def evaluate_embedded(
    model: clip.ClipModel,
    *,
    count: int = 2_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Zero-shot accuracy on pictures of streams that training never drew from.

    backgrounds: top-1 over the places, all pictures. objects: top-1 over the objects, on pictures
    that show exactly one thing, an object; atoms: the same with atoms. ap_atoms, ap_objects: the
    mean over names of the average precision with which the cosine finds it among all pictures.
    Prompts are the mean of three templates.
    """
    held_out = list(pictures(seed + _HELD_OUT, count))
    embeddings, _ = clip.encode_image_stream(model, [picture.image for picture in held_out])
    similarity = {
        kind: embeddings
        @ clip.embed_prompts(model, names, _TEMPLATES).T
        / np.linalg.norm(embeddings, axis=-1, keepdims=True)
        for kind, names in (("atoms", ATOMS), ("objects", OBJECTS), ("backgrounds", BACKGROUNDS))
    }
    places = [BACKGROUNDS.index(picture.background) for picture in held_out]
    result: dict[str, Any] = {
        "pictures": count,
        "backgrounds": float((similarity["backgrounds"].argmax(1) == places).mean()),
    }
    for kind, names in (("atoms", ATOMS), ("objects", OBJECTS)):
        result[kind] = _top1(similarity[kind], held_out, names)
        present = np.array([[name in picture.things for name in names] for picture in held_out])
        precision = {
            name: float(average_precision_score(present[:, i], similarity[kind][:, i]))
            for i, name in enumerate(names)
            if present[:, i].any()
        }
        result[f"ap_{kind}"] = float(np.mean(list(precision.values())))
        result[f"ap_of_{kind}"] = precision
    return result


def _top1(similarity: np.ndarray, held_out: list[Picture], names: tuple[str, ...]) -> float:
    alone = [
        i
        for i, picture in enumerate(held_out)
        if len(picture.things) == 1 and picture.things[0] in names
    ]
    truth = [names.index(held_out[i].things[0]) for i in alone]
    return float((similarity[alone].argmax(1) == truth).mean())
