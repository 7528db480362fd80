"""The boundary that a config asks to be learned, as the numbers that then stand in it."""

import dataclasses

from jaxvlm.atoms.boundary import auto_kappa
from jaxvlm.atoms.boundary_learning import BoundaryParams, SegmentSettings, learn_boundary
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.video.config import AtomsConfig, BoundaryConfig, boundary_start
from jaxvlm.video.role_data import RoleData


def learned_boundary(
    data: RoleData, roles: RoleParams, ontology: Ontology, config: AtomsConfig
) -> BoundaryConfig:
    """δ and κ for these roles, from where "learned" begins; see `atoms.learn_boundary`.

    What is learned is δ and κ of the sum over C atoms: σ(κ(d − δ)) of the mean is that of the sum
    with C·δ and κ/C.
    """
    form = config.boundary.divergence
    atoms = len(ontology.atoms) if form == "mean" else 1
    delta, kappa = boundary_start(BoundaryConfig("learned", "learned", form))
    kappa = float(auto_kappa(delta)) if kappa == "auto" else kappa
    learned = learn_boundary(
        data.presences,
        data.labels,
        roles,
        start=BoundaryParams(delta * atoms, kappa / atoms),
        candidates=ontology.candidates,
        segments=SegmentSettings(**dataclasses.asdict(config.segments)),
        config=config.roles,
    )
    delta, kappa = float(learned.delta) / atoms, float(learned.kappa) * atoms
    return BoundaryConfig(f"{delta:.6g}", f"{kappa:.6g}", form)
