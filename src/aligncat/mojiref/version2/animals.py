"""Drawings of animals by category."""

from __future__ import annotations

from aligncat.mojiref.version2.drawing import Drawing, nouns_of


def _animal(code: str, *nouns: str, tint: bool = True, texture: str | None = "plain") -> Drawing:
    return Drawing(code=code, nouns=nouns_of(*nouns), tint=tint, texture=texture)


_BIRD = "bird, birdie"
_CAT = "cat, kitty, kitten, feline, pussycat"
_DOG = "dog, doggy, puppy, pup, doggie, pooch, hound, canine, mutt"
_HORSE = "horse, stallion, mare, pony, steed"
_COW = "cow, cattle"

ANIMALS: dict[str, tuple[Drawing, ...]] = {
    "bird": (
        _animal("1F426", _BIRD, "sparrow, robin"),
        _animal("1F426-200D-2B1B", "crow, raven, blackbird", _BIRD, tint=False),
        _animal("1F54A", "dove, pigeon", _BIRD),
        _animal("1F9A2", "swan", _BIRD, "waterfowl"),
        _animal("1F986", "duck, mallard", _BIRD, "waterfowl"),
        _animal("1FABF", "goose", _BIRD, "waterfowl"),
        _animal("1F989", "owl", _BIRD, texture=None),
        _animal("1F427", "penguin", _BIRD, tint=False),
        _animal("1F99C", "parrot, macaw", _BIRD, tint=False, texture=None),
        _animal("1F9A9", "flamingo", _BIRD),
        _animal("1F413", "rooster, chicken, cock", _BIRD, "fowl"),
        _animal("1F414", "chicken, hen", _BIRD, "fowl"),
        _animal("1F424", "chick, baby chick, chicken", _BIRD),
        _animal("1F985", "eagle, hawk, falcon", _BIRD, tint=False),
        _animal("1F99A", "peacock", _BIRD, tint=False, texture=None),
        _animal("1F983", "turkey", _BIRD, "fowl", tint=False, texture=None),
    ),
    "cat": (
        _animal("1F408", _CAT, "tabby"),
        _animal("1F431", _CAT),
        _animal("1F63A", _CAT),
        _animal("1F63C", _CAT),
        _animal("1F408-200D-2B1B", _CAT, tint=False),
    ),
    "dog": (
        _animal("1F415", _DOG),
        _animal("1F436", _DOG, "retriever, labrador, lab"),
        _animal("1F429", "poodle", _DOG),
        _animal("1F9AE", "guide dog", _DOG, tint=False),
        _animal("1F415-200D-1F9BA", "rescue dog, service dog", _DOG, tint=False, texture=None),
    ),
    "horse": (
        _animal("1F40E", _HORSE),
        _animal("1F434", _HORSE),
        _animal("1FACF", "donkey, mule, horse"),
    ),
    "sheep": (
        _animal("1F411", "sheep, lamb, ewe"),
        _animal("1F40F", "ram, sheep"),
        _animal("1F410", "goat, billy goat"),
    ),
    "cow": (
        _animal("1F404", _COW, tint=False, texture=None),
        _animal("1F42E", _COW, "calf", tint=False),
        _animal("1F402", "ox, bull, steer", _COW),
        _animal("1F403", "buffalo, water buffalo, bull", _COW, tint=False),
        _animal("1F9AC", "bison, buffalo", _COW, tint=False),
    ),
    "elephant": (
        _animal("1F418", "elephant, pachyderm"),
        _animal("1F9A3", "mammoth, elephant", tint=False),
    ),
    "bear": (
        _animal("1F43B", "bear, grizzly, grizzly bear"),
        _animal("1F43C", "panda, panda bear, bear", tint=False, texture=None),
        _animal("1F43B-200D-2744-FE0F", "polar bear, bear", tint=False),
    ),
    "zebra": (_animal("1F993", "zebra", tint=False, texture=None),),
    "giraffe": (_animal("1F992", "giraffe", tint=False, texture=None),),
}
