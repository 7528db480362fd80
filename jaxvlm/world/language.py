"""The words of the world: paraphrases, articles and caption templates."""

from collections.abc import Sequence

import numpy as np

from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, EVENT_ROLES, EVENTS, OBJECTS

LIGHTING = ("bright", "dim", "foggy")

# Other ways to say an atom: what a person may type first, and what a captioning model may write.
PARAPHRASES: dict[str, tuple[str, ...]] = {
    "ambulance": ("an ambulance", "ambulance van"),
    "angry crowd": ("an angry mob", "furious people", "crowd with fists up"),
    "balloons": ("a bunch of balloons", "party balloons"),
    "blast flash": ("a bright blast", "flash of a blast", "burst of light"),
    "boxing ring": ("boxers in a ring", "a boxing match"),
    "broken glass": ("glass shards", "pieces of glass on the ground"),
    "bullet holes": ("bullet marks in a wall", "holes shot into a wall"),
    "burning barricade": ("a barricade on fire", "burning tyres"),
    "carnival parade": ("a carnival float", "a street parade"),
    "concert stage": ("a stage with spotlights", "a concert"),
    "cowering person": ("a person cowering", "someone protecting the head"),
    "crash test dummy": ("a dummy from a crash test", "test dummy"),
    "crashed cars": ("two cars crashed", "a car crash", "collided cars"),
    "crowd attacking police": ("people attacking police", "police under attack"),
    "crowd in a circle": ("people standing in a circle", "a ring of onlookers"),
    "crumpled hood": ("a dented car", "a bent car hood", "a damaged car"),
    "crying child": ("a child in tears", "weeping child"),
    "film crew": ("a camera team", "people filming", "a movie set"),
    "fireball": ("a ball of fire", "fire", "flames"),
    "fireworks show": ("fireworks", "fireworks in the sky"),
    "flying debris": ("debris in the air", "fragments flying"),
    "gun in hand": ("a person holding a gun", "a gun", "a man with a pistol"),
    "knocked over chair": ("an overturned chair", "a fallen chair"),
    "masked gunman": ("a gunman in a mask", "a person in a balaclava with a rifle"),
    "muzzle flash": ("a gun firing", "fire from a gun barrel"),
    "nurse": ("a nurse", "medical staff"),
    "overturned car": ("a car on its roof", "a car upside down"),
    "people punching": ("two people punching each other", "a fist fight"),
    "people running away": ("people fleeing", "running people"),
    "people taking cover": ("people hiding behind a wall", "people ducking"),
    "person beating a victim": ("a person beating someone", "someone being beaten"),
    "person kicking": ("someone kicking another", "a kick"),
    "person on the ground": ("a person lying down", "someone lying on the ground"),
    "police car": ("a police vehicle", "patrol car"),
    "protest sign": ("a person with a placard", "a banner"),
    "raised fists": ("clenched fists", "person with fists up"),
    "raised stick": ("a person holding up a stick", "a raised club"),
    "referee": ("a referee in a striped shirt", "an umpire"),
    "riot shields": ("police with shields", "a row of shields"),
    "shattered window": ("a broken window", "a smashed window"),
    "shooting target": ("a target with rings", "a target board"),
    "skid marks": ("tyre tracks", "brake marks on the road"),
    "smoke plume": ("smoke", "a column of smoke", "dark smoke"),
    "street vendor": ("a market stall", "a food cart"),
    "theater stage": ("a stage with curtains", "actors on a stage"),
    "thrown stones": ("stones in the air", "flying stones"),
    "toy gun": ("a child with a toy gun", "a plastic gun", "a water pistol"),
    "victim tied up": ("a person tied with ropes", "a bound person"),
}

EVENT_PARAPHRASES: dict[str, tuple[str, ...]] = {
    "explosion": ("an explosion", "a blast"),
    "fighting": ("a fight", "people fighting"),
    "shooting": ("a shooting", "gun violence"),
    "abuse": ("abuse", "a person being abused"),
    "riot": ("a riot", "street violence"),
    "car accident": ("a car accident", "a traffic accident"),
}

_PLURAL = {
    "people punching",
    "people running away",
    "people taking cover",
    "raised fists",
    "riot shields",
    "thrown stones",
    "bullet holes",
    "skid marks",
    "crashed cars",
    "balloons",
    "broken glass",
    "flying debris",
}

_OPENINGS = (
    "a photo of {}",
    "{}",
    "a picture of {}",
    "a surveillance picture of {}",
    "a scene with {}",
    "there is {}",
    "a close-up photo of {}",
    "a video frame of {}",
    "a photo of the {bare}",
    "an image of {}",
)
_SCENE_OPENINGS = (
    "a photo of a {}",
    "a scene of {}",
    "a background of {}",
    "a texture of {}",
    "{}",
    "a picture of the {}",
    "an empty {}",
    "a photo of {}",
    "an image of a {}",
)
_PLACES = (
    "{} on a {place}",
    "{} in the {place}",
    "{}, {place}",
    "{} in front of a {place}",
    "{} with a {place} in the background",
)


def with_article(name: str) -> str:
    """``"dog"`` -> ``"a dog"``; plurals and mass nouns stay as they are."""
    if name in _PLURAL or name in EVENTS:
        return EVENT_PARAPHRASES[name][0] if name in EVENTS else name
    return ("an " if name[0] in "aeiou" else "a ") + name


def phrase(rng: np.random.Generator, name: str) -> str:
    """One way to say a concept: its name, or now and then a paraphrase."""
    options = PARAPHRASES.get(name) or EVENT_PARAPHRASES.get(name)
    if options and rng.random() < 0.35:
        return options[rng.integers(len(options))]
    return with_article(name)


def caption(
    rng: np.random.Generator, things: Sequence[str], place: str | None, lighting: str | None
) -> str:
    """A sentence that names the given concepts; any of them may be absent."""
    if not things:
        place = place or "place"
        text = _SCENE_OPENINGS[rng.integers(len(_SCENE_OPENINGS))].format(place)
    else:
        phrases = [phrase(rng, name) for name in things]
        text = " and ".join(phrases) if rng.random() < 0.7 else ", ".join(phrases)
        opening = _OPENINGS[rng.integers(len(_OPENINGS))]
        text = opening.format(text, bare=" and the ".join(things))
        if place:
            text = _PLACES[rng.integers(len(_PLACES))].format(text, place=place)
    if lighting:
        text = f"{text}, {lighting}" if rng.random() < 0.5 else f"{lighting}: {text}"
    return text


def corpus(rng: np.random.Generator, size: int) -> list[str]:
    """Sentences over all concepts, for training the tokenizer."""
    names = (*ATOMS, *OBJECTS, *EVENTS)
    sentences = [*names, *BACKGROUNDS]
    sentences += [
        text for options in (*PARAPHRASES.values(), *EVENT_PARAPHRASES.values()) for text in options
    ]
    sentences += [
        "a normal day, nothing happens",
        "an ordinary scene",
        "violence",
        "accident",
        "people",
        "a man",
        "a woman",
        "a crowd",
        "a street",
        "a vehicle",
        "an animal",
    ]
    while len(sentences) < size:
        things = [names[i] for i in rng.choice(len(names), rng.integers(0, 3), replace=False)]
        place = BACKGROUNDS[rng.integers(len(BACKGROUNDS))] if rng.random() < 0.5 else None
        light = LIGHTING[rng.integers(len(LIGHTING))] if rng.random() < 0.2 else None
        sentences.append(caption(rng, things, place, light))
    return sentences


def looks_like(visible: Sequence[str]) -> list[str]:
    """Event words that a caption writer would use at first sight: counter atoms are not weighed.

    A direct atom, or two indirect ones, suffice. This is how captions of the wild treat a film
    set, and why a zero-shot prompt with the event's name is no solution.
    """
    seen = set(visible)
    return [
        event
        for event, roles in EVENT_ROLES.items()
        if seen & set(roles.direct) or len(seen & set(roles.indirect)) >= 2
    ]
