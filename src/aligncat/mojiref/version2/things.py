"""Drawings of things by category."""

from __future__ import annotations

from aligncat.mojiref.version2.drawing import Drawing, nouns_of


def _thing(code: str, *nouns: str, tint: bool = True, texture: str | None = "plain") -> Drawing:
    return Drawing(code=code, nouns=nouns_of(*nouns), tint=tint, texture=texture)


def _food(code: str, *nouns: str, color: str | None = "auto") -> Drawing:
    """Return a drawing that keeps its colours and may have a pattern of its own."""
    return Drawing(code=code, nouns=nouns_of(*nouns), tint=False, texture=None, color=color)


_BIKE = "bicycle, bike, cycle, push bike"
_CAR = "car, vehicle, automobile, auto"
_MOTORCYCLE = "motorcycle, motorbike, motor bike"
_PLANE = "airplane, plane, aircraft, jet"
_BUS = "bus, coach"
_TRAIN = "train"
_TRUCK = "truck, lorry, vehicle"
_BOAT = "boat, vessel"
_LIGHT = "traffic light, stoplight, stop light, traffic signal, signal, lights"
_HANDBAG = "handbag, bag, purse, hand bag"
_BALL = "ball, sports ball"
_BOTTLE = "bottle"
_GLASS = "wine glass, glass, wineglass, goblet"
_CUP = "cup, mug, drink, beverage"
_BOWL = "bowl, dish, food"
_SANDWICH = "sandwich, food"
_CAKE = "cake, dessert, sweet"
_PLANT = "plant, houseplant"
_SCREEN = "tv, television, screen, monitor, tv set"
_BOOK = "book"
_CLOCK = "clock, timepiece"
_VASE = "vase, urn, pot, pottery, jug"

THINGS: dict[str, tuple[Drawing, ...]] = {
    "bicycle": (_thing("1F6B2", _BIKE),),
    "car": (
        _thing("1F697", _CAR, "hatchback, sedan"),
        _thing("1F698", _CAR, "sedan"),
        _thing("1F699", "suv, jeep", _CAR),
        _thing("1F693", "police car, cop car", _CAR),
        _thing("1F694", "police car, cop car, patrol car", _CAR, tint=False),
        _thing("1F695", "taxi, cab, taxicab", _CAR),
        _thing("1F696", "taxi, cab, taxicab", _CAR),
        _thing("1F3CE", "race car, racing car, sports car", _CAR),
        _thing("1F690", "van, minivan", _CAR),
    ),
    "motorcycle": (
        _thing("1F3CD", _MOTORCYCLE, "bike"),
        _thing("1F6F5", "scooter, moped, vespa", _MOTORCYCLE),
    ),
    "airplane": (
        _thing("2708", _PLANE),
        _thing("1F6E9", _PLANE, "propeller plane, biplane"),
        _thing("1F6EB", _PLANE, "airliner"),
        _thing("1F6EC", _PLANE, "airliner"),
    ),
    "bus": (
        _thing("1F68C", _BUS, "tour bus"),
        _thing("1F68D", _BUS, "school bus, city bus"),
        _thing("1F68E", "trolley bus, trolleybus", _BUS),
    ),
    "train": (
        _thing("1F686", _TRAIN),
        _thing("1F685", _TRAIN, "bullet train"),
        _thing("1F684", _TRAIN, "bullet train", tint=False),
        _thing("1F683", "train car, railway car", _TRAIN),
        _thing("1F682", "locomotive, steam engine, engine", _TRAIN, tint=False),
        _thing("1F687", "subway, metro", _TRAIN, tint=False),
        _thing("1F68A", "tram, trolley", _TRAIN, tint=False),
    ),
    "truck": (
        _thing("1F69A", _TRUCK, "delivery truck, box truck"),
        _thing("1F69B", _TRUCK, "semi, semi truck", tint=False),
        _thing("1F6FB", "pickup, pickup truck, pick up", _TRUCK),
        _thing("1F692", "fire truck, firetruck, fire engine", _TRUCK),
        _thing("1F69C", "tractor", tint=False, texture=None),
    ),
    "boat": (
        _thing("1F6F6", "canoe, kayak, row boat, rowboat", _BOAT),
        _thing("26F5", "sailboat, sail boat", _BOAT, tint=False, texture=None),
        _thing("1F6A4", "speedboat, motorboat", _BOAT, tint=False, texture=None),
        _thing("26F4", "ferry, ship", _BOAT, tint=False, texture=None),
        _thing("1F6F3", "ship, cruise ship", _BOAT, tint=False, texture=None),
    ),
    "traffic light": (_food("1F6A5", _LIGHT), _food("1F6A6", _LIGHT)),
    "stop sign": (_food("1F6D1", "stop sign, sign, road sign, stopsign"),),
    "backpack": (_thing("1F392", "backpack, bag, back pack, rucksack, school bag, knapsack"),),
    "umbrella": (
        _thing("2602", "umbrella, parasol"),
        _thing("26F1", "umbrella, parasol, beach umbrella", texture=None),
        _thing("1F302", "umbrella, closed umbrella"),
    ),
    "handbag": (
        _thing("1F45C", _HANDBAG),
        _thing("1F45B", "purse, coin purse", _HANDBAG),
        _thing("1F45D", "clutch, pouch", _HANDBAG),
        _thing("1F6CD", "shopping bag, tote, tote bag", _HANDBAG),
    ),
    "tie": (_thing("1F454", "tie, shirt and tie, necktie, shirt"),),
    "suitcase": (
        _thing("1F9F3", "suitcase, luggage, bag, case, baggage", texture=None),
        _thing("1F4BC", "briefcase, case, bag, suitcase, brief case"),
    ),
    "frisbee": (_thing("1F94F", "frisbee, disc, flying disc"),),
    "skis": (_thing("1F3BF", "skis, ski, ski boot", texture=None),),
    "sports ball": (
        _thing("26BD", "soccer ball, football", _BALL, texture=None),
        _thing("1F3C0", "basketball, basket ball", _BALL),
        _thing("1F3D0", "volleyball, volley ball", _BALL, texture=None),
        _thing("1F3BE", "tennis ball", _BALL),
        _thing("26BE", "baseball", _BALL, texture=None),
        _thing("1F3C8", "football, american football", _BALL),
        _thing("1F3C9", "rugby ball", _BALL),
    ),
    "kite": (_thing("1FA81", "kite", texture=None),),
    "baseball bat": (_thing("1F3CF", "bat, cricket bat, paddle"),),
    "skateboard": (_thing("1F6F9", "skateboard, board, skate board"),),
    "bottle": (
        _thing("1F37E", _BOTTLE, "champagne bottle, wine bottle"),
        _thing("1F37C", "baby bottle", _BOTTLE),
        _thing("1F9F4", "lotion, lotion bottle, shampoo", _BOTTLE),
        _thing("1FAD9", "jar", _BOTTLE, tint=False),
    ),
    "wine glass": (
        _thing("1F377", _GLASS, "wine, glass of wine"),
        _thing("1F378", "martini, cocktail, martini glass, drink", _GLASS),
        _thing("1F379", "cocktail, drink", _GLASS),
    ),
    "cup": (
        _thing("2615", "cup, coffee cup, tea cup, mug, coffee, drink, beverage", tint=False),
        _thing("1F375", "tea cup, teacup, tea, cup of tea", _CUP, tint=False, texture=None),
        _thing("1F964", _CUP, "soda, paper cup, cup with straw"),
        _thing("1F37A", "beer, beer mug, glass of beer, beer glass", _CUP, "glass", tint=False),
        _thing("1F943", "glass, tumbler, whiskey", _CUP, texture=None),
        _thing("1F9CB", "bubble tea, milkshake, smoothie", _CUP, texture=None),
        _thing("1F95B", "glass, glass of milk, milk", _CUP, tint=False),
    ),
    "knife": (_thing("1F52A", "knife, blade, kitchen knife"),),
    "spoon": (_thing("1F944", "spoon, teaspoon, tablespoon"),),
    "bowl": (
        _thing("1F963", _BOWL, "cereal, soup bowl", tint=False),
        _thing("1F35C", _BOWL, "noodles, soup, ramen"),
        _food("1F957", "salad, bowl of salad, salad bowl", _BOWL, color=None),
        _thing("1F372", "stew, soup", _BOWL, tint=False),
    ),
    "banana": (_thing("1F34C", "banana, fruit, plantain"),),
    "apple": (_thing("1F34E", "apple, fruit"), _thing("1F34F", "apple, fruit")),
    "sandwich": (
        _thing("1F96A", _SANDWICH, "sub", texture=None),
        _food("1F354", "burger, hamburger, cheeseburger", _SANDWICH),
        _food("1F32E", "taco", _SANDWICH),
        _food("1F32F", "burrito, wrap", _SANDWICH),
        _food("1F950", "croissant, pastry", _SANDWICH),
        _food("1F96F", "bagel", _SANDWICH),
    ),
    "orange": (_food("1F34A", "orange, tangerine, mandarin, clementine, citrus, fruit", color=None),),
    "broccoli": (_food("1F966", "broccoli, veggie, vegetable, floret"),),
    "carrot": (_food("1F955", "carrot, veggie, vegetable"),),
    "hot dog": (_food("1F32D", "hot dog, hotdog, sausage, wiener, frank"),),
    "pizza": (_food("1F355", "pizza, slice of pizza, pizza slice, pizza pie"),),
    "donut": (_thing("1F369", "donut, doughnut, pastry", texture=None),),
    "cake": (
        _thing("1F370", "slice of cake, piece of cake, shortcake", _CAKE),
        _thing("1F382", "birthday cake", _CAKE),
        _thing("1F9C1", "cupcake, cup cake, muffin", _CAKE, texture=None),
        _food("1F967", "pie, tart", _CAKE),
    ),
    "chair": (_thing("1FA91", "chair, seat"), _thing("1F4BA", "seat, chair, airplane seat")),
    "couch": (_thing("1F6CB", "couch, sofa, settee, loveseat, lounge"),),
    "potted plant": (
        _thing("1FAB4", "plant, potted plant, houseplant, pot plant, palm, flower pot, pot"),
        _thing("1F335", "cactus", _PLANT),
        _food("1F490", "flowers, bouquet, bunch of flowers, tulips", _PLANT, color=None),
        _food("1F33B", "flower, sunflower", _PLANT, color="yellow"),
    ),
    "bed": (_thing("1F6CF", "bed, mattress, cot"),),
    "toilet": (_thing("1F6BD", "toilet, commode, loo, potty"),),
    "tv": (_thing("1F4FA", _SCREEN), _thing("1F5A5", "computer screen, computer", _SCREEN)),
    "laptop": (_thing("1F4BB", "laptop, computer, laptop computer, notebook, screen, pc"),),
    "mouse": (_thing("1F5B1", "mouse, computer mouse"),),
    "keyboard": (_thing("2328", "keyboard, computer keyboard, keys", tint=False, texture=None),),
    "cell phone": (
        _thing("1F4F1", "phone, cell phone, cellphone, mobile, smartphone, iphone, mobile phone"),
        _thing("1F4DE", "phone, handset, telephone receiver, receiver", tint=False),
        _thing("260E", "phone, telephone, landline"),
    ),
    "book": (
        _thing("1F4D5", _BOOK, "textbook, novel"),
        _thing("1F4D7", _BOOK, "textbook"),
        _thing("1F4D8", _BOOK, "textbook"),
        _thing("1F4D9", _BOOK, "textbook"),
        _thing("1F4D2", "notebook, notepad, ledger", _BOOK),
        _thing("1F4D6", "open book, book, magazine", tint=False),
        _food("1F4DA", "books, stack of books, pile of books", color=None),
    ),
    "clock": (
        _thing("1F550", _CLOCK, "wall clock", tint=False),
        _thing("23F0", "alarm clock, alarm", _CLOCK, tint=False),
        _thing("1F570", "mantel clock", _CLOCK, tint=False),
        _thing("231A", "watch, wristwatch", _CLOCK, tint=False),
        _thing("23F1", "stopwatch, timer", _CLOCK, tint=False),
    ),
    "vase": (_thing("1F3FA", _VASE, "amphora", texture=None), _thing("26B1", _VASE)),
    "scissors": (_thing("2702", "scissors, pair of scissors, scissor, shears"),),
    "teddy bear": (_thing("1F9F8", "teddy bear, teddy, bear, stuffed bear, stuffed animal, plush, toy bear, toy"),),
    "toothbrush": (_thing("1FAA5", "toothbrush, brush, tooth brush"),),
}
