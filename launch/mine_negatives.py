"""Negative labels for my classes, from WordNet or a list.

They are written in the files that NegAlign reads.
"""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, display, encoder_flags, unused
from jaxvlm.ood.words import prompts
from jaxvlm.ood.words.rules import RULES
from jaxvlm.progress import stage

_CLASS_NAMES = flags.DEFINE_string("class_names", None, "List of ID classes, one per line.",
                                   required=True)  # fmt: skip
_WORDS = flags.DEFINE_string("words", None, "Candidates: a list, one per line, or a folder of "
                             "noun.*.txt and adj.*.txt.")  # fmt: skip
_WORDNET_DIR = flags.DEFINE_string(
    "wordnet_dir", None, "WordNet's dict folder, on Debian /usr/share/wordnet; instead of --words."
)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets neg_labels_noun.txt, neg_labels_adj.txt and mining.json.", required=True
)
_CLIP = encoder_flags.define_clip()
_FRACTION = flags.DEFINE_float("fraction", 0.15, "Part of the candidates to keep.")
_RULE = flags.DEFINE_enum("rule", "csp", list(RULES), "Whose rule chooses the words.")
_PROMPTS = flags.DEFINE_enum(
    "prompts", None, list(prompts.PROMPT_SETS), "Whose prompts; default: those of --rule."
)
_TEMPLATES = flags.DEFINE_multi_string("templates", None, "Prompts of nouns and classes instead.")
_POOL = flags.DEFINE_enum(
    "pool", "written_forms", ["written_forms", "first_lemmas"], "Of WordNet; the latter is theirs."
)
_FILTER = flags.DEFINE_bool("filter", True, "Without proper nouns, kinds of a class (WordNet).")
_DROP_HYPERNYMS = flags.DEFINE_bool(
    "drop_hypernyms", False, "Also remove what is more general than a class (WordNet only)."
)
_ADJECTIVES = flags.DEFINE_bool("adjectives", True, "Mine adjectives too (not of a list).")


def main() -> None:
    from jaxvlm import clip
    from jaxvlm.ood.words import lists as word_lists
    from jaxvlm.ood.words import mining, wordnet

    unused.in_mine_negatives()
    outputs.require_places(_OUT_DIR.value, *mining.WRITTEN)
    classes, rule = word_lists.read_classes(_CLASS_NAMES.value), RULES[_RULE.value]
    with display.progress() as on_progress:
        with stage(on_progress, "read the words"):
            pool = wordnet.Pool(_POOL.value, rule.excluded, _FILTER.value, _DROP_HYPERNYMS.value)
            candidates = wordnet.read_candidates(_WORDS.value, _WORDNET_DIR.value, classes, pool)
        if not _ADJECTIVES.value:
            candidates = candidates._replace(adjectives=())
        encoder = clip.make_encoder(_CLIP(on_progress), on_progress=on_progress)
        own = prompts.prompt_set(_PROMPTS.value or _RULE.value, _TEMPLATES.value)
        mined = mining.mine_negatives(
            encoder, classes, candidates, fraction=_FRACTION.value, rule=rule, prompts=own
        )
    told = _FRACTION, _RULE, _PROMPTS, _TEMPLATES, _POOL, _FILTER, _DROP_HYPERNYMS, _ADJECTIVES
    settings = {flag.name: flag.value for flag in told}
    mining.write_mined(_OUT_DIR.value, mined, encoder, settings)
    for name, (count, examples) in mined.removed.items():
        cli.show(f"{count:7d} removed, {name}: {', '.join(examples)}")
    cli.say(*(f"warning: {line}" for line in mined.warnings()))
    cli.show(f"{len(mined.words):7d} kept, sha256 {mined.sha256[:12]}: {_OUT_DIR.value}")


if __name__ == "__main__":
    cli.run(main)
