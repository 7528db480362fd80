"""A small ontology, and how a test reads what the pipeline wrote."""

from pathlib import Path

import numpy as np

from jaxvlm import files

ONTOLOGY = """
events:
  riot: [angry crowd, thrown stones, raised fists]
  abuse: [crying child, raised fists]
clutter: [balloons]
templates: ["a photo of {}", "{} on a road"]
neutral_prompts: [a road, a photo]
"""
EVENTS = ("riot", "abuse")
ATOMS = ("angry crowd", "balloons", "crying child", "raised fists", "thrown stones")
NUM_FRAMES = {"b10": 3, "b9": 6}  # in the order of text, which is not the natural one


def arrays(folder: Path, kind: str) -> dict[str, np.ndarray]:
    return files.read_arrays(folder / f"{kind}.safetensors")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def unit(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
