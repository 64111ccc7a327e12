"""The words and word orders of version 2's phrases.

In a form, "{n}" is the noun with what already stands around it, and "{v}" the attribute's own word.
"""

from __future__ import annotations

SIZES = {"big": ("big", "large", "huge"), "small": ("small", "little", "tiny")}
TEXTURES = {
    "striped": ("striped", "stripy", "stripey"),
    "spotted": ("spotted", "dotted", "polka dot", "spotty"),
    "checkered": ("checkered", "plaid", "checked"),
}
TEXTURES_AFTER = {
    "striped": ("with stripes", "with lines"),
    "spotted": ("with dots", "with spots"),
    "checkered": ("with checks", "with squares"),
}
# The clothes of a person, with a colour, a pattern, or both.
WORN_COLORS = ("{n} in {v}", "{n} in {v} shirt", "{n} wearing {v}", "{n} with {v} shirt", "{n} in a {v} top")
WORN_TEXTURES = ("{n} in {v} shirt", "{n} wearing {v} shirt", "{n} with {v} shirt", "{n} in a {v} top")

# What a person has on or holds -> its words, and whether it is held.
CLOTHES: dict[str, tuple[tuple[str, ...], bool]] = {
    "hat": (("hat",), False),
    "cap": (("cap",), False),
    "helmet": (("helmet", "hard hat"), False),
    "beret": (("beret",), False),
    "graduation cap": (("graduation cap", "mortarboard"), False),
    "crown": (("crown",), False),
    "turban": (("turban",), False),
    "headscarf": (("headscarf", "hijab"), False),
    "veil": (("veil",), False),
    "glasses": (("glasses", "specs"), False),
    "mask": (("mask",), False),
    "beard": (("beard",), False),
    "scarf": (("scarf",), False),
    "cape": (("cape",), False),
    "suit": (("suit",), False),
    "pitchfork": (("pitchfork",), True),
    "staff": (("staff", "stick"), True),
    "brush": (("brush", "paintbrush"), True),
    "sword": (("sword",), True),
    "wrench": (("wrench", "spanner"), True),
    "microphone": (("microphone", "mic"), True),
    "gavel": (("gavel", "hammer"), True),
    "hose": (("hose",), True),
    "magnifying glass": (("magnifying glass",), True),
    "flask": (("flask", "beaker"), True),
}
WITH_CLOTHES = ("{n} with {v}", "{n} with a {v}")
WEARING = ("{n} wearing {v}", "{n} wearing a {v}")
HOLDING = ("{n} holding {v}", "{n} holding a {v}")
NO_ARTICLE = ("glasses", "specs")

ACTIONS = {
    "running": ("running", "jogging"),
    "walking": ("walking", "strolling"),
    "standing": ("standing", "standing up"),
    "kneeling": ("kneeling", "kneeling down"),
    "dancing": ("dancing",),
    "surfing": ("surfing", "riding a wave"),
    "swimming": ("swimming",),
    "doing a cartwheel": ("doing a cartwheel", "doing a handstand", "upside down"),
    "meditating": ("meditating", "doing yoga", "sitting cross legged"),
    "waving": ("waving", "raising hand", "raising a hand"),
    "shrugging": ("shrugging",),
    "covering the face": ("covering face", "covering the face", "facepalming"),
    "holding up both arms": ("holding up both arms", "with arms up", "arms up"),
}
ACTIONS_BEFORE = ("running", "jogging", "walking", "standing", "kneeling", "dancing", "surfing", "swimming", "waving")

PLACES = {
    **{
        side: (f"{{n}} on {side}", f"{{n}} on the {side}", f"{{n}} on {side} side", f"{side} {{n}}")
        for side in ("left", "right")
    },
    "top": ("{n} on top", "{n} at the top", "{n} at top", "top {n}"),
    "bottom": ("{n} on bottom", "{n} at the bottom", "{n} at bottom", "bottom {n}"),
    "middle": ("{n} in middle", "{n} in the middle", "{n} in center", "middle {n}"),
    **{
        f"{end} {side}": (
            f"{{n}} in {end} {side}",
            f"{{n}} in the {end} {side}",
            f"{{n}} in {other} {side} corner",
            f"{end} {side} {{n}}",
        )
        for end, other in (("top", "upper"), ("bottom", "lower"))
        for side in ("left", "right")
    },
}
LONG_PLACES = {
    **{side: (f"{{n}} on the {side} side of the {{p}}",) for side in ("left", "right")},
    **{end: (f"{{n}} at the {end} of the {{p}}",) for end in ("top", "bottom")},
    "middle": ("{n} in the middle of the {p}", "{n} in the center of the {p}"),
    **{
        f"{end} {side}": (f"{{n}} in the {end} {side} corner of the {{p}}",)
        for end in ("top", "bottom")
        for side in ("left", "right")
    },
}
PICTURES = ("picture", "image", "photo")

ORDINALS = {1: ("first", "1st"), 2: ("second", "2nd"), 3: ("third", "3rd"), 4: ("fourth", "4th")}
ENDS = ("{s}most {n}", "far {s} {n}")  # the first from a side
COUNTED = ("{o} {n} from {s}", "{o} {n} from the {s}")
COUNTED_AFTER = ("{n} {o} from {s}", "{n} {o} from the {s}")

RELATIONS = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under", "beneath", "underneath"),
    "next to": ("next to", "beside", "near", "by", "close to"),
}

PLURALS = frozenset(
    ("scissors", "pair of scissors", "skis", "flowers", "tulips", "books", "lights", "keys", "noodles", "shears")
)
