"""Captions of frames, by a vision-language model.

Asks for each frame which atoms of the ontology it shows; the file is for run-pipeline.
"""

import os

from absl import flags

from jaxvlm import resources
from jaxvlm.captioning.request import MAX_PIXELS
from jaxvlm.command import cli, display, unused

_FRAMES_ROOT = flags.DEFINE_string("frames_root", None, "One folder of frames per video.",
                                   required=True)  # fmt: skip
_OUT = flags.DEFINE_string("out", None, "Caption file (JSON), for --qwen_json.", required=True)
_BACKEND = flags.DEFINE_enum(
    "backend", "transformers", ["transformers", "openai", "dry"], "Model here, a server, or none."
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology", str(resources.path("configs/ontology/world.yaml")), "Events and atoms."
)
_MODEL = flags.DEFINE_string(
    "model", "Qwen/Qwen2.5-VL-3B-Instruct", "Hub id or folder; with a server: its name there."
)
_BASE_URL = flags.DEFINE_string(
    "base_url", None, "Server: http://127.0.0.1:8000/v1. Its key is read from OPENAI_API_KEY."
)
_BATCH = flags.DEFINE_integer("batch_size", 4, "Frames per pass, transformers.", 1, 2**12)
_CONCURRENCY = flags.DEFINE_integer("concurrency", 8, "Requests in flight.", lower_bound=1)
_TIMEOUT = flags.DEFINE_float("timeout", 120.0, "Seconds for one request.", lower_bound=0.001)
_RETRIES = flags.DEFINE_integer("retries", 5, "Of a request that failed.", lower_bound=0)
_TOKENS = flags.DEFINE_integer("max_new_tokens", 128, "Of an answer.", lower_bound=1)
_PIXELS = flags.DEFINE_integer(
    "max_pixels", MAX_PIXELS, "Larger frames are made smaller.", 56 * 56, 2**24
)


def main() -> None:
    from jaxvlm import captioning
    from jaxvlm.captioning import openai_backend, transformers_backend
    from jaxvlm.data import images
    from jaxvlm.ontology import captions, ontology

    unused.in_caption_frames()
    if _BACKEND.value == "dry":
        captions.write_dry_captions(_OUT.value, images.list_frames(_FRAMES_ROOT.value))
        cli.show(f"captions to fill in: {_OUT.value}")
        return
    atoms = ontology.load_ontology(_ONTOLOGY.value).atoms
    prompt = captioning.build_prompt(atoms)
    asked = captioning.Request(_MODEL.value, prompt, _TOKENS.value, _PIXELS.value)
    if _BACKEND.value == "openai":
        ask = openai_backend.openai_backend(
            asked, base_url=_BASE_URL.value, api_key=os.environ.get("OPENAI_API_KEY"),
            concurrency=_CONCURRENCY.value, timeout=_TIMEOUT.value, retries=_RETRIES.value,
        )  # fmt: skip
    else:
        ask = transformers_backend.transformers_backend(asked, batch_size=_BATCH.value)
    with display.progress() as on_progress:
        result = captioning.caption_frames(
            _FRAMES_ROOT.value, _OUT.value, atoms, request=asked, ask=ask, on_progress=on_progress
        )
    cli.show(f"{result.out}: {captioning.describe(result)}")
    cli.show(f"answers are kept in {result.journal}")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
