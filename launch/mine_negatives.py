"""Negative labels for my classes, from WordNet or a list.

They are written in the files that NegAlign reads.
"""

from absl import flags

from jaxvlm import clip, outputs
from jaxvlm.command import cli, encoder_flags
from jaxvlm.errors import InputError
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words import mining

_CLASS_NAMES = flags.DEFINE_string(
    "class_names", None, "List of ID classes, one per line.", required=True
)
_WORDS = flags.DEFINE_string("words", None, "List of candidate words, one per line.")
_WORDNET_DIR = flags.DEFINE_string(
    "wordnet_dir", None, "WordNet's dict folder, on Debian /usr/share/wordnet; instead of --words."
)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets neg_labels_noun.txt, neg_labels_adj.txt and mining.json.", required=True
)
_CLIP = encoder_flags.define_clip()
_FRACTION = flags.DEFINE_float("fraction", 0.15, "Part of the candidates to keep.")
_TEMPLATES = flags.DEFINE_multi_string(
    "templates", list(mining.NOUN_TEMPLATES), "Prompts of nouns and classes; repeatable."
)
_DROP_HYPERNYMS = flags.DEFINE_bool(
    "drop_hypernyms", False, "Also remove what is more general than a class (WordNet only)."
)
_ADJECTIVES = flags.DEFINE_bool("adjectives", True, "Mine adjectives too (WordNet only).")
_CSP = flags.DEFINE_bool("csp", True, "Put a superclass behind each adjective, as CSP does.")


def main() -> None:
    if (_WORDS.value is None) == (_WORDNET_DIR.value is None):
        raise InputError("candidates: give one of --words and --wordnet_dir")
    outputs.require_places(_OUT_DIR.value, *mining.WRITTEN)
    classes = word_lists.read_classes(_CLASS_NAMES.value)
    if _WORDS.value is not None:
        words, _ = word_lists.read_words(_WORDS.value)
        candidates = mining.list_candidates(words, classes)
    else:
        from jaxvlm.ood.words import wordnet  # nltk takes seconds to import

        candidates = wordnet.wordnet_candidates(
            _WORDNET_DIR.value, classes, drop_hypernyms=_DROP_HYPERNYMS.value
        )
    if not _ADJECTIVES.value:
        candidates = candidates._replace(adjectives=())
    encoder = clip.make_encoder(_CLIP())
    mined = mining.mine_negatives(
        encoder,
        classes,
        candidates,
        fraction=_FRACTION.value,
        superclasses=mining.SUPERCLASSES if _CSP.value else (),
        noun_templates=_TEMPLATES.value,
    )
    settings = {flag.name: flag.value for flag in (_FRACTION, _TEMPLATES, _DROP_HYPERNYMS)}
    settings |= {flag.name: flag.value for flag in (_ADJECTIVES, _CSP)}
    mining.write_mined(_OUT_DIR.value, mined, encoder, settings)
    for rule, (count, examples) in mined.removed.items():
        cli.show(f"{count:7d} removed, {rule}: {', '.join(examples)}")
    cli.show(f"{len(mined.words):7d} kept, sha256 {mined.sha256[:12]}: {_OUT_DIR.value}")


if __name__ == "__main__":
    cli.run(main)
