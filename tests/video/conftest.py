"""A tiny CLIP, two videos of its ontology, and the pipeline that runs on them."""

import cv2
import jax
import numpy as np
import pytest
from transformers import CLIPConfig

from jaxvlm import clip
from jaxvlm.video import config as settings
from jaxvlm.video import pipeline
from jaxvlm.video.config import AtomsSettings
from jaxvlm.world import language
from jaxvlm.world.bpe import BOS, EOS, train_tokenizer
from tests.video.runs import NUM_FRAMES, ONTOLOGY


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A tiny random CLIP with a tokenizer of its own, saved and loaded as a user's is."""
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = train_tokenizer(language.corpus(np.random.default_rng(0), 300), 700)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id(EOS)
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "projection_dim": 8,
    }
    text = {
        "vocab_size": tokenizer.get_vocab_size(),
        "bos_token_id": tokenizer.token_to_id(BOS),
        "eos_token_id": end,
        "pad_token_id": end,
    }
    config = CLIPConfig(
        text_config=tower | text,
        vision_config=tower | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    # Ten times CLIP's start, or all pictures would look alike to it.
    params = jax.tree.map(
        lambda leaf: 10.0 * leaf if leaf.ndim > 1 else leaf,
        clip.init_params(config, jax.random.key(0)),
    )
    clip.save(folder / "model", params, config, folder / "tokenizer.json")
    return clip.load(folder / "model")


@pytest.fixture
def ontology_file(tmp_path):
    (tmp_path / "ontology.yaml").write_text(ONTOLOGY)
    return tmp_path / "ontology.yaml"


@pytest.fixture
def frames_root(tmp_path):
    """Two videos; the shorter one has an index of its own times."""
    root = tmp_path / "frames"
    rng = np.random.default_rng(1)
    for name, count in NUM_FRAMES.items():
        (root / name).mkdir(parents=True)
        for k in range(count):
            image = rng.integers(0, 256, (6, 8, 3)).repeat(6, 0).repeat(6, 1).astype(np.uint8)
            cv2.imwrite(str(root / name / f"{k:06d}.jpg"), image)
    (root / "b10" / "index.csv").write_text("frame,time_seconds\n0,0.0\n1,2.5\n2,4.0\n")
    return root


@pytest.fixture
def run(model, frames_root, ontology_file, tmp_path):
    """Runs the pipeline into ``out``; keywords set dotted fields of the config, or arguments."""

    def run(
        *,
        labels_csv=None,
        qwen_json=None,
        ontology=ontology_file,
        out="out",
        encoder=None,
        **changes,
    ):
        encoder = encoder or clip.make_encoder(model, batch_size=4)
        config = AtomsSettings(fps=2.0, batch_size=4)
        for field, value in changes.items():
            part, name = field.split("__")
            setattr(getattr(config, part), name, value)
        return pipeline.run_pipeline(
            frames_root,
            tmp_path / out,
            encoder=encoder,
            ontology_file=ontology,
            config=settings.check(config),
            labels_csv=labels_csv,
            qwen_json=qwen_json,
        )

    return run
