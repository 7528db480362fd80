"""The settings of `clip_training`."""

from typing import NamedTuple


class TrainConfig(NamedTuple):
    """How to train: a constant learning rate, then one that falls linearly to zero.

    ``patch_weight`` = 0 is plain CLIP.
    """

    constant_steps: int = 2500
    decay_steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 5e-3  # of the matrices inside the blocks, by Muon
    adam_learning_rate: float = 2e-3  # of everything else
    warmup_steps: int = 200
    weight_decay: float = 0.05
    patch_weight: float = 1.0
