"""What a run encoded, in the layout that ``--id_embeddings`` and the like read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxvlm import files
from jaxvlm.names import printable
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels

FOLDER = "embeddings"


def write_embeddings(out_dir: Path, sets: Sequence[ScoredSet], labels: Labels) -> None:
    """``embeddings/SET.safetensors`` with ``features`` [N, D], ``SET_names.json``, the pictures'
    paths, and ``SET_labels.json`` where there are labels; ``classes`` [K, D] and ``negatives``
    [M, D] with their words likewise."""
    folder = out_dir / FOLDER
    words = labels.names
    for name, rows, own in (
        ("classes", labels.banks.positive, words.positive),
        ("negatives", labels.banks.negative, words.negative),
    ):
        _write(folder / name, rows, own)
    for scored in sets:
        paths = [printable(path.as_posix()) for path in scored.paths]
        _write(folder / scored.name, scored.encoded.image, paths)
        if scored.labels is not None:
            files.write_json(folder / f"{scored.name}_labels.json", list(scored.labels))


def _write(path: Path, rows: np.ndarray, names: Sequence[str]) -> None:
    features = np.asarray(rows, np.float32)
    files.write_arrays(path.with_name(f"{path.name}.safetensors"), {"features": features})
    files.write_json(path.with_name(f"{path.name}_names.json"), list(names))
