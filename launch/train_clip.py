"""Trains the embedded encoder again, from a seed.

On pictures rendered for it.
"""

from absl import flags

from jaxvlm import runs
from jaxvlm.command import cli, display
from jaxvlm.world.train_config import TrainConfig

_DEFAULTS = TrainConfig()
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets the CLIP folder and evaluation.json.", required=True
)
_SEED = flags.DEFINE_integer("seed", 0, "Of pictures, captions, batches and weights.")
_NUM_PICTURES = flags.DEFINE_integer(
    "num_pictures", 48_000, "Rendered once, seen many times.", lower_bound=1_000
)
_CONSTANT_STEPS = flags.DEFINE_integer(
    "constant_steps", _DEFAULTS.constant_steps, "Steps at a constant learning rate."
)
_DECAY_STEPS = flags.DEFINE_integer(
    "decay_steps", _DEFAULTS.decay_steps, "Steps after them, the rate falling to zero."
)
_ONLY_FAMILIAR = flags.DEFINE_bool(
    "only_familiar",
    False,
    "Trains nothing: writes familiar.safetensors, what its pictures look like, into the folder.",
)


def main() -> None:
    from jaxvlm import clip, files
    from jaxvlm.world import embedded_clip

    if _ONLY_FAMILIAR.value:
        embedded_clip.write_familiar(_OUT_DIR.value, seed=_SEED.value)
        cli.show(f"{_OUT_DIR.value}/familiar.safetensors")
        return
    config = _DEFAULTS._replace(
        constant_steps=_CONSTANT_STEPS.value, decay_steps=_DECAY_STEPS.value
    )
    with display.progress() as on_progress:
        embedded_clip.train_embedded(
            _OUT_DIR.value,
            config,
            num_pictures=_NUM_PICTURES.value,
            seed=_SEED.value,
            on_progress=on_progress,
            say=cli.show,
        )
    embedded_clip.write_familiar(_OUT_DIR.value, seed=_SEED.value)
    model = clip.load(_OUT_DIR.value)
    result = embedded_clip.evaluate_embedded(model)
    files.write_json(f"{_OUT_DIR.value}/evaluation.json", result)
    settings = {**config._asdict(), "num_pictures": _NUM_PICTURES.value}
    made = {"clip": clip.clip_record(model)}
    runs.write_record(_OUT_DIR.value, settings, seed=_SEED.value, made_with=made)
    for name in ("atoms", "objects", "backgrounds"):
        cli.show(f"{name}: zero-shot accuracy {result[name]:.3f}")
    cli.show(f"encoder: {_OUT_DIR.value}")


if __name__ == "__main__":
    cli.run(main)
