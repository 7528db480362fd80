"""Settings that a user gave: none of them is ignored in silence."""

import itertools
from collections.abc import Collection, Iterator

from jaxvlm.errors import InputError
from jaxvlm.ood.methods import METHODS
from jaxvlm.pictures.config import BASELINE, NEGALIGN, OodConfig
from jaxvlm.pictures.labels import Words, stored_split

# Softmaxes that have the temperature of their publications.
_OF_COSINES = ("mcm", "gl_mcm", "gl_mcm_output", "eoe", "cma")
# The fields of `NegAlignConfig` that only some methods use.
_ALIGNMENT = ("lambda_bg", "p_align_variant", "pos_topk", "neg_topk")
_USED_BY = {
    **dict.fromkeys((*_ALIGNMENT, "use_neglabel_star"), (NEGALIGN,)),
    "use_scale_stabilization": (NEGALIGN,),
    "topk_aggregation_k": (NEGALIGN, "neglabel_m1", "neglabel_star_m1"),
    "glmcm_weight": ("gl_mcm", "gl_mcm_output"),
    "logit_scale": tuple(m for m in (*METHODS, NEGALIGN) if m not in _OF_COSINES),
}
_PATCHES = (
    *(f"negalign.{name}" for name in (*_ALIGNMENT, "use_p_align", "glmcm_weight")),
    *(f"negalign.cam_{name}" for name in ("fg_percentile", "dilate_px", "block", "layer")),
    *("negalign.cam_block_weights", "negalign.cam_threshold", "negalign.patch_features"),
    *("negalign.pooled_layernorm", "store_hidden", "batch_size"),
)
_FOR_COMPARISON = ("lambdas", "validation_fraction", "num_resamples", "convention")
_SPLITS = ("split_percentile", "negalign.neg_split_tau")


def refuse_unused(
    given: Collection[str],
    config: OodConfig,
    words: Words,
    *,
    methods: Collection[str] | None = None,
    stored: bool = True,
    embedded: bool = False,
) -> None:
    """Refuses fields that were given and that something else makes useless.

    Args:
      given: dotted names, as of `command.given.fields`.
      config: from `config.check`.
      methods: those that are compared; None: ``config.method`` alone scores.
      stored: whether there is a store of what is encoded.
      embedded: whether pictures are given as embeddings.

    Raises InputError, which names what decides and the cure.
    """
    found = _unused(config, words, methods, stored)
    if embedded:
        no_patches = [
            (field, "embeddings have no patches; give the pictures") for field in _PATCHES
        ]
        found = itertools.chain(no_patches, found)
    for field, decides in found:
        if field in given:
            raise InputError(f"--config.{field}: has no effect, because {decides}")


def refuse_unused_of_queries(given: Collection[str], config: OodConfig, *, embedded: bool) -> None:
    """`refuse_unused` where texts are looked for: only prompts, scale and batch size count."""
    encoding = () if embedded else ("batch_size",)
    for field in given:
        if field not in ("prompts", "templates", "negalign.logit_scale", *encoding):
            raise InputError(f"--config.{field}: has no effect with --queries; leave it out")
    if config.prompts != "templates" and "templates" in given:
        raise InputError(
            f"--config.templates: has no effect, because prompts={config.prompts} decides; leave "
            "one of them out"
        )


def _unused(
    config: OodConfig, words: Words, methods: Collection[str] | None, stored: bool
) -> Iterator[tuple[str, str]]:
    negalign = config.negalign
    option = "--method" if methods is None else "--methods"
    scoring = {config.method} if methods is None else {BASELINE, *methods}
    if "all" not in scoring:
        for field, users in _USED_BY.items():
            if not scoring & set(users):
                some = ", ".join(users[:3]) + (" or another" if len(users) > 3 else "")
                names = ",".join([config.method] if methods is None else methods)
                yield f"negalign.{field}", f"{option}={names} does not use it; take {some}"
    if methods is None:
        for field in _FOR_COMPARISON:
            yield field, "score-images compares nothing; that is evaluate-ood"
    else:
        if not scoring & {"all", config.method}:
            yield "method", f"it is not among {option}={','.join(methods)}; add it"
    if not negalign.use_p_align:
        for field in _ALIGNMENT:
            yield f"negalign.{field}", "negalign.use_p_align is off; leave it on"
    if not negalign.use_neglabel_star:
        for field in ("use_role_aware_negatives", "use_scale_stabilization"):
            yield f"negalign.{field}", "negalign.use_neglabel_star is off; leave it on"
    yield from _unused_words(config, words)
    if negalign.cam_threshold == "otsu":
        yield "negalign.cam_fg_percentile", "negalign.cam_threshold=otsu chooses by itself"
    if not stored:
        yield "store_hidden", "nothing is stored; give --store_dir"


def _unused_words(config: OodConfig, words: Words) -> Iterator[tuple[str, str]]:
    negalign = config.negalign
    if config.prompts != "templates":
        yield "templates", f"prompts={config.prompts} decides; leave one of them out"
    if negalign.soft_weighting != "ambiguous":
        weighting = f"negalign.soft_weighting={negalign.soft_weighting}"
        yield "negalign.soft_beta", f"{weighting} decides; take soft_weighting=ambiguous"
    split = stored_split(words.negatives)
    if split is not None and not negalign.neg_split_recompute:
        for field in _SPLITS:
            yield field, f"{split} is the split; add --config.negalign.neg_split_recompute"
    elif config.split_percentile:
        yield (
            "negalign.neg_split_tau",
            f"split_percentile={config.split_percentile:g} decides; set it to 0",
        )
    if split is None:
        yield "negalign.neg_split_recompute", "no split lies beside the negatives; leave it out"
