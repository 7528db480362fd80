from jaxvlm import resources
from jaxvlm.clip.tokenizer import tokenize
from jaxvlm.ood.words.lists import normalize_word, read_words
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, EVENTS, OBJECTS
from jaxvlm.world.words import world_words


def test_the_shipped_list_is_the_functions():
    words, repeated = read_words(resources.path("configs/ood/world_words.txt"))
    assert words == world_words() and repeated == 0


def test_every_word_is_new_and_has_no_article():
    words = world_words()
    assert len(words) >= 200
    assert len({normalize_word(word) for word in words}) == len(words)
    assert not [word for word in words if word.split()[0] in ("a", "an", "the")]
    assert {*ATOMS, *OBJECTS, *BACKGROUNDS, *EVENTS} <= set(words)
    # One each of the derived kinds, worked out by hand.
    assert {"angry mob", "fist fight", "empty beach", "foggy night street"} <= set(words)


def test_words_are_made_of_what_captions_say():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(resources.path("checkpoints/clip/tokenizer.json")))
    # A word that training never saw falls apart into letters; none here needs so many pieces.
    lengths = [len(ids) - 2 for ids in tokenize(tokenizer, world_words(), 77)]
    pieces = [n / len(word.split()) for n, word in zip(lengths, world_words(), strict=True)]
    assert max(pieces) <= 3
