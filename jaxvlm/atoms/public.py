"""What `jaxvlm.atoms` gives to others, see `jaxvlm.lazily`."""

from jaxvlm.atoms.boundary import auto_delta, boundary_probability, divergence, log_survival
from jaxvlm.atoms.explanation import leave_one_out, role_contributions, top_pair
from jaxvlm.atoms.learned_roles import train_roles
from jaxvlm.atoms.pairs import pairwise_method, pairwise_noisy_or
from jaxvlm.atoms.pooling import pool_video
from jaxvlm.atoms.presence import (
    add_caption_evidence,
    contrast_presence,
    cosine_presence,
    local_presence,
)
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_tables import assign_roles, roles_from_strengths
from jaxvlm.atoms.roles import Evidence, RoleParams, event_logits, event_probability, role_evidence
from jaxvlm.atoms.rules import Rules
from jaxvlm.atoms.segments import (
    StreamState,
    init_stream,
    pi_mass,
    segment_index,
    segment_presence,
    segment_spans,
    segment_weights,
    stream_step,
)
from jaxvlm.atoms.sparse_coding import sparse_code, sparse_presence

__all__ = [
    "Evidence",
    "RoleConfig",
    "RoleParams",
    "Rules",
    "StreamState",
    "add_caption_evidence",
    "assign_roles",
    "auto_delta",
    "boundary_probability",
    "contrast_presence",
    "cosine_presence",
    "divergence",
    "event_logits",
    "event_probability",
    "init_stream",
    "leave_one_out",
    "local_presence",
    "log_survival",
    "pairwise_method",
    "pairwise_noisy_or",
    "pi_mass",
    "pool_video",
    "role_contributions",
    "role_evidence",
    "roles_from_strengths",
    "segment_index",
    "segment_presence",
    "segment_spans",
    "segment_weights",
    "sparse_code",
    "sparse_presence",
    "stream_step",
    "top_pair",
    "train_roles",
]
