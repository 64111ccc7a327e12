"""The OpenMoji glyphs of each COCO category, and nouns for them.

Category ids and names are COCO's. Frequencies are numbers of instances in COCO train2017, so that MojiRef has COCO's
long tail (about a third of the objects are people).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyph:
    """One drawing.

    Attributes:
        code: OpenMoji's hexcode, which is the file's name.
        nouns: nouns that are true of the drawing.
        tint: whether it may be drawn in another colour than its own.
        skin: whether OpenMoji has it in five skin tones.
    """

    code: str
    nouns: tuple[str, ...]
    tint: bool = True
    skin: bool = False


@dataclass(frozen=True, slots=True)
class Category:
    """A COCO category with its drawings in MojiRef.

    Attributes:
        id: COCO's category id (1 to 90).
        name: COCO's name.
        group: "person", "animal" or "thing"; testA refers to the first two, testB to the last.
        frequency: number of instances in COCO train2017.
        glyphs: its drawings.
    """

    id: int
    name: str
    group: str
    frequency: int
    glyphs: tuple[Glyph, ...]


def _bust(code: str, *nouns: str) -> Glyph:
    return Glyph(code, nouns, tint=True, skin=True)


def _worker(code: str, *nouns: str) -> Glyph:
    return Glyph(code, nouns, tint=False)


_PEOPLE = (
    _bust("1F468", "man", "guy", "person"),
    _bust("1F469", "woman", "lady", "person"),
    _bust("1F466", "boy", "kid", "child", "person"),
    _bust("1F467", "girl", "kid", "child", "person"),
    _bust("1F476", "baby", "child", "person"),
    _bust("1F474", "old man", "man", "person"),
    _bust("1F475", "old woman", "woman", "person"),
    _worker("1F46E-200D-2642-FE0F", "policeman", "police officer", "man"),
    _worker("1F477-200D-2640-FE0F", "construction worker", "worker", "woman"),
    _worker("1F468-200D-1F373", "cook", "chef", "man"),
    _worker("1F469-200D-2695-FE0F", "doctor", "woman"),
    _worker("1F468-200D-1F33E", "farmer", "man"),
)


def _same(nouns: tuple[str, ...], *codes: str, tint: bool = True) -> tuple[Glyph, ...]:
    return tuple(Glyph(code, nouns, tint) for code in codes)


CATEGORIES: tuple[Category, ...] = (
    Category(1, "person", "person", 262465, _PEOPLE),
    Category(2, "bicycle", "thing", 7113, _same(("bicycle", "bike"), "1F6B2")),
    Category(3, "car", "thing", 43867, _same(("car",), "1F697", "1F698", "1F699", "1F693")),
    Category(4, "motorcycle", "thing", 8725, _same(("motorcycle", "motorbike"), "1F3CD", "1F6F5")),
    Category(5, "airplane", "thing", 5135, _same(("airplane", "plane"), "2708", "1F6E9", "1F6EB")),
    Category(6, "bus", "thing", 6069, _same(("bus",), "1F68C", "1F68D", "1F68E")),
    Category(7, "train", "thing", 4571, _same(("train",), "1F686", "1F685", "1F683")),
    Category(8, "truck", "thing", 9973, _same(("truck",), "1F69A", "1F6FB", "1F692")),
    Category(9, "boat", "thing", 10759, _same(("boat", "canoe"), "1F6F6")),
    Category(10, "traffic light", "thing", 12884, _same(("traffic light",), "1F6A5", "1F6A6", tint=False)),
    Category(13, "stop sign", "thing", 1983, _same(("stop sign",), "1F6D1", tint=False)),
    Category(16, "bird", "animal", 10806, _same(("bird",), "1F426", "1F54A", "1F9A2", "1F986", "1F989")),
    Category(17, "cat", "animal", 4768, _same(("cat", "kitty"), "1F408", "1F431", "1F63A")),
    Category(18, "dog", "animal", 5508, _same(("dog", "puppy"), "1F415", "1F436", "1F429")),
    Category(19, "horse", "animal", 6587, _same(("horse",), "1F40E", "1F434")),
    Category(20, "sheep", "animal", 9509, _same(("sheep",), "1F411", "1F40F")),
    Category(21, "cow", "animal", 8147, _same(("cow",), "1F404", "1F42E", "1F402")),
    Category(22, "elephant", "animal", 5513, _same(("elephant",), "1F418")),
    Category(23, "bear", "animal", 1294, _same(("bear",), "1F43B")),
    Category(24, "zebra", "animal", 5303, _same(("zebra",), "1F993", tint=False)),
    Category(25, "giraffe", "animal", 5131, _same(("giraffe",), "1F992", tint=False)),
    Category(27, "backpack", "thing", 8720, _same(("backpack", "bag"), "1F392")),
    Category(28, "umbrella", "thing", 11431, _same(("umbrella",), "2602", "26F1", "1F302")),
    Category(31, "handbag", "thing", 12354, _same(("handbag", "purse"), "1F45C", "1F45B")),
    Category(32, "tie", "thing", 6496, _same(("shirt and tie", "tie"), "1F454")),
    Category(33, "suitcase", "thing", 6192, _same(("suitcase", "luggage"), "1F9F3")),
    Category(34, "frisbee", "thing", 2682, _same(("frisbee",), "1F94F")),
    Category(35, "skis", "thing", 6646, _same(("skis",), "1F3BF")),
    Category(37, "sports ball", "thing", 6347, _same(("ball",), "26BD", "1F3C0", "1F3D0", "1F3BE")),
    Category(38, "kite", "thing", 9076, _same(("kite",), "1FA81")),
    Category(39, "baseball bat", "thing", 3276, _same(("bat",), "1F3CF")),
    Category(41, "skateboard", "thing", 5543, _same(("skateboard", "board"), "1F6F9")),
    Category(44, "bottle", "thing", 24342, _same(("bottle",), "1F37E", "1F37C", "1F9F4")),
    Category(46, "wine glass", "thing", 7913, _same(("wine glass", "glass"), "1F377")),
    Category(47, "cup", "thing", 20650, _same(("cup",), "2615", "1F375", "1F964")),
    Category(49, "knife", "thing", 7770, _same(("knife",), "1F52A")),
    Category(50, "spoon", "thing", 6165, _same(("spoon",), "1F944")),
    Category(51, "bowl", "thing", 14358, _same(("bowl",), "1F963", "1F35C")),
    Category(52, "banana", "thing", 9458, _same(("banana",), "1F34C")),
    Category(53, "apple", "thing", 5851, _same(("apple",), "1F34E")),
    Category(54, "sandwich", "thing", 4373, _same(("sandwich",), "1F96A")),
    Category(55, "orange", "thing", 6399, _same(("orange fruit", "tangerine"), "1F34A", tint=False)),
    Category(56, "broccoli", "thing", 7308, _same(("broccoli",), "1F966", tint=False)),
    Category(57, "carrot", "thing", 7852, _same(("carrot",), "1F955", tint=False)),
    Category(58, "hot dog", "thing", 2918, _same(("hot dog",), "1F32D", tint=False)),
    Category(59, "pizza", "thing", 5821, _same(("pizza", "slice of pizza"), "1F355", tint=False)),
    Category(60, "donut", "thing", 7179, _same(("donut",), "1F369")),
    Category(61, "cake", "thing", 6353, _same(("cake",), "1F370", "1F382", "1F9C1")),
    Category(62, "chair", "thing", 38491, _same(("chair",), "1FA91")),
    Category(63, "couch", "thing", 5779, _same(("couch", "sofa"), "1F6CB")),
    Category(64, "potted plant", "thing", 8652, _same(("plant", "potted plant"), "1FAB4")),
    Category(65, "bed", "thing", 4192, _same(("bed",), "1F6CF")),
    Category(70, "toilet", "thing", 4157, _same(("toilet",), "1F6BD")),
    Category(72, "tv", "thing", 5805, _same(("tv", "screen"), "1F4FA", "1F5A5")),
    Category(73, "laptop", "thing", 4970, _same(("laptop", "computer"), "1F4BB")),
    Category(74, "mouse", "thing", 2262, _same(("mouse", "computer mouse"), "1F5B1")),
    Category(76, "keyboard", "thing", 2855, _same(("keyboard",), "2328")),
    Category(77, "cell phone", "thing", 6434, _same(("phone", "cell phone"), "1F4F1")),
    Category(84, "book", "thing", 24715, _same(("book",), "1F4D5", "1F4D7", "1F4D8")),
    Category(85, "clock", "thing", 6334, _same(("clock",), "1F550", "23F0", "1F570")),
    Category(86, "vase", "thing", 6613, _same(("vase",), "1F3FA", "26B1")),
    Category(87, "scissors", "thing", 1481, _same(("scissors",), "2702")),
    Category(88, "teddy bear", "thing", 4793, _same(("teddy bear", "teddy"), "1F9F8")),
    Category(90, "toothbrush", "thing", 1954, _same(("toothbrush",), "1FAA5")),
)

SKIN_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
