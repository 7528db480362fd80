"""For the embedded encoder, whose patches are aligned with text."""

from jaxvlm.video.config import AtomsSettings


def get_config() -> AtomsSettings:
    """Presence from patches; boundaries and form as the embedded roles were trained with.

    The form is the first version's for the world's first law, a linear threshold, which ρ_i ρ_j can
    say. For the laws of pairs and of own counters give ``--config.roles.form=specific``.
    """
    config = AtomsSettings()
    config.presence.kind = "local"
    config.boundary.divergence = "sum"
    config.boundary.delta = "0.6"
    config.boundary.kappa = "8.0"
    config.roles.form = "product"
    return config
