"""Drawings of people: who they are, what they wear or hold, and what they do."""

from __future__ import annotations

from aligncat.mojiref.version2.drawing import Drawing, nouns_of

_PERSON = "person, human, individual, somebody"
_MAN = f"man, guy, dude, gentleman, male, fellow, bloke, fella, gent, chap, dad, mister, {_PERSON}, adult"
_WOMAN = f"woman, lady, girl, female, gal, mom, mum, miss, {_PERSON}, adult"
_SEXES = {"2642": _MAN, "2640": _WOMAN}


def _bust(code: str, *nouns: str, wears: tuple[str, ...] = ()) -> Drawing:
    """Return a head and shoulders whose clothes can take every colour and pattern."""
    return Drawing(code=code, nouns=nouns_of(*nouns), skin=True, color="blue", wears=wears, weight=5.0)


def _yellow(code: str, *nouns: str, does: str | None = None) -> Drawing:
    """Return a bust with OpenMoji's yellow skin whose clothes can take every colour and pattern."""
    return Drawing(code=code, nouns=nouns_of(*nouns), color="blue", does=does, weight=2.0)


def _worker(code: str, *nouns: str, color: str | None = None, wears: str = "", skin: bool = False) -> Drawing:
    """Return a person in clothes of a profession, which keep their colours."""
    worn = tuple(wears.split(", ")) if wears else ()
    return Drawing(code=code, nouns=nouns_of(*nouns), tint=False, skin=skin, color=color, texture=None, wears=worn)


def _both(
    template: str, nouns: str, *, color: str | None = None, wears: str = "", for_women: str = ""
) -> tuple[Drawing, ...]:
    """Return the man and the woman of a profession.

    Args:
        template: the hexcode with "{}" for the sex or for the person.
        nouns: names of the profession.
        color: the colour of the clothes.
        wears: what they wear or hold.
        for_women: further names for the woman, before the others.
    """
    pairs = (("2642", _MAN), ("2640", _WOMAN)) if "FE0F" in template else (("1F468", _MAN), ("1F469", _WOMAN))
    names = (nouns, f"{for_women}, {nouns}" if for_women else nouns)
    return tuple(
        _worker(template.format(sex), name, general, color=color, wears=wears)
        for (sex, general), name in zip(pairs, names, strict=True)
    )


def _figure(code: str, does: str, *nouns: str) -> Drawing:
    """Return a whole figure that does something; it has no clothes of a colour."""
    return Drawing(code=code, nouns=nouns_of(*nouns), tint=False, skin=True, color=None, texture=None, does=does)


def _acting(code: str, does: str, *nouns: str) -> tuple[Drawing, ...]:
    """Return the man and the woman that do something."""
    return tuple(_figure(f"{code}-200D-{sex}-FE0F", does, *nouns, general) for sex, general in _SEXES.items())


def _gesturing(code: str, does: str) -> tuple[Drawing, ...]:
    """Return the bust of a man and of a woman with a gesture; their clothes can take every colour and pattern."""
    return tuple(_yellow(f"{code}-200D-{sex}-FE0F", general, does=does) for sex, general in _SEXES.items())


_OLD_MAN = "old man, old guy, grandpa, elderly man, grandfather, senior, older man, granddad"
_OLD_WOMAN = "old woman, old lady, grandma, elderly woman, granny, grandmother, senior, older woman"
_KID = "kid, child, youngster, youth"

PEOPLE: tuple[Drawing, ...] = (
    _bust("1F468", _MAN),
    _bust("1F469", _WOMAN),
    _bust("1F466", "boy", _KID, "son, young man, lad, guy, male", _PERSON),
    _bust("1F467", "girl", _KID, "daughter, young lady, lass, female", _PERSON),
    _bust("1F476", "baby, infant, child, newborn, toddler", _PERSON),
    _bust("1F474", _OLD_MAN, _MAN),
    _bust("1F475", _OLD_WOMAN, _WOMAN),
    _bust("1F9D4", "bearded man, bearded guy", _MAN, wears=("beard",)),
    _yellow("1F468-200D-1F9B0", "redhead, ginger", _MAN),
    _yellow("1F469-200D-1F9B0", "redhead, ginger", _WOMAN),
    _yellow("1F469-200D-1F9B1", _WOMAN),
    _yellow("1F468-200D-1F9B2", "bald man, bald guy, baldie", _MAN),
    _yellow("1F471-200D-2642-FE0F", "blond guy, blond man", _MAN),
    _yellow("1F471-200D-2640-FE0F", "blonde, blond woman, blonde girl", _WOMAN),
    *_both("1F46E-200D-{}-FE0F", "police officer, cop, officer", color="blue", wears="cap", for_women="policewoman"),
    *_both("1F477-200D-{}-FE0F", "construction worker, builder, worker", color="orange", wears="helmet"),
    *_both("{}-200D-1F373", "chef, cook", color="white", wears="hat"),
    _worker("1F468-200D-2695-FE0F", "doctor, medic, doc, physician", _MAN, color="white"),
    _worker("1F469-200D-2695-FE0F", "doctor, nurse, medic, doc", _WOMAN, color="white"),
    *_both("{}-200D-1F33E", "farmer", wears="hat, pitchfork"),
    *_both("{}-200D-1F527", "mechanic, plumber, repairman", color="blue", wears="cap, wrench"),
    *_both("{}-200D-1F52C", "scientist, chemist", color="white", wears="glasses, flask"),
    *_both("{}-200D-1F3A8", "artist, painter", wears="beret, brush, scarf"),
    *_both("{}-200D-1F3A4", "singer, rock star, performer", wears="microphone"),
    *_both("{}-200D-1F393", "graduate, student, grad", color="black", wears="graduation cap"),
    *_both("{}-200D-1F3EB", "teacher, professor", wears="glasses"),
    _worker("1F468-200D-2696-FE0F", "judge", _MAN, color="black", wears="gavel"),
    _worker("1F469-200D-2696-FE0F", "judge", _WOMAN, color="black", wears="gavel"),
    *_both("{}-200D-1F692", "firefighter, fireman", wears="helmet, hose"),
    *_both("{}-200D-1F680", "astronaut, spaceman, cosmonaut", color="gray", wears="helmet"),
    _worker("1F468-200D-2708-FE0F", "pilot, captain", _MAN, color="white", wears="cap"),
    _worker("1F469-200D-2708-FE0F", "pilot, captain", _WOMAN, color="white", wears="cap"),
    *_both("1F482-200D-{}-FE0F", "guard, guardsman, soldier", color="red", wears="hat"),
    *_both("1F575-FE0F-200D-{}-FE0F", "detective, sleuth, investigator", color="brown", wears="cap, magnifying glass"),
    _worker("1F473-200D-2642-FE0F", _MAN, color="green", wears="turban, beard"),
    _worker("1F473-200D-2640-FE0F", _WOMAN, color="green", wears="turban"),
    Drawing(code="1F9D5", nouns=nouns_of(_WOMAN), skin=True, color="purple", wears=("headscarf",), weight=2.0),
    _worker("1F385", "santa, santa claus, father christmas", _MAN, color="red", wears="hat, beard", skin=True),
    _worker("1F936", "mrs claus, old lady, old woman", _WOMAN, color="red", wears="hat, glasses", skin=True),
    _worker("1F934", "prince, king", _MAN, color="pink", wears="crown", skin=True),
    _worker("1F478", "princess, queen", _WOMAN, color="pink", wears="crown", skin=True),
    _worker("1F935-200D-2642-FE0F", "groom, businessman", _MAN, color="black", wears="suit"),
    _worker("1F935-200D-2640-FE0F", "businesswoman", _WOMAN, color="black", wears="suit"),
    _worker("1F470-200D-2640-FE0F", "bride", _WOMAN, color="yellow", wears="veil"),
    _worker("1F9D9-200D-2642-FE0F", "wizard, magician, sorcerer", _MAN, color="blue", wears="hat, beard, staff"),
    _worker("1F977", "ninja", _PERSON, color="black", wears="mask, sword", skin=True),
    _worker("1F9B8-200D-2642-FE0F", "superhero, hero", _MAN, wears="mask, cape"),
    _worker("1F9B8-200D-2640-FE0F", "superhero, hero", _WOMAN, wears="mask, cape"),
    *_acting("1F3C3", "running", "runner, jogger"),
    *_acting("1F6B6", "walking", "walker, pedestrian"),
    *_acting("1F9CD", "standing"),
    *_acting("1F9CE", "kneeling"),
    _figure("1F483", "dancing", "dancer", _WOMAN),
    _figure("1F57A", "dancing", "dancer", _MAN),
    *_acting("1F3C4", "surfing", "surfer"),
    *_acting("1F3CA", "swimming", "swimmer"),
    *_acting("1F938", "doing a cartwheel", "gymnast, acrobat"),
    *_acting("1F9D8", "meditating", "yogi"),
    *_gesturing("1F64B", "waving"),
    *_gesturing("1F937", "shrugging"),
    *_gesturing("1F926", "covering the face"),
    *_gesturing("1F646", "holding up both arms"),
)
