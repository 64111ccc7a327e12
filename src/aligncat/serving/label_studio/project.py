"""What a labelling configuration of Label Studio asks for, and what is missing in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.label_studio import Controls
from aligncat.serving.refusals import Refusal, unusable
from aligncat.wording import first_line

EXAMPLE = (
    '<View><Image name="image" value="$image"/><Text name="phrase" value="$phrase"/>'
    '<RectangleLabels name="box" toName="image"><Label value="object"/></RectangleLabels></View>'
)
"""The smallest configuration that works."""


@dataclass(frozen=True, slots=True)
class Project:
    """What a project is about.

    Attributes:
        photo: the key of a task's data with the photo's address.
        phrase: the key of a task's data with the phrases.
        controls: the names to which regions refer.
        labels: the labels of the rectangles, or of the masks if there are no rectangles; at least one.
    """

    photo: str
    phrase: str
    controls: Controls
    labels: tuple[str, ...]

    @classmethod
    def of(cls, config: str) -> Project:
        """Read a labelling configuration.

        Args:
            config: the XML.

        Raises:
            Refusal: it is not XML, or lacks what grounding needs.
        """
        root = _parsed(config)
        image, text = _only(root, "Image"), _only(root, "Text")
        name = image.get("name", "")
        boxes, masks = _labels(root, "RectangleLabels", name), _labels(root, "BrushLabels", name)
        if boxes is None and masks is None:
            raise wrong_project(f"no <RectangleLabels> or <BrushLabels> has toName={name!r}, the name of the <Image>")
        labels = [_values(each) for each in (boxes, masks) if each is not None]
        if not all(labels):
            raise wrong_project("a <RectangleLabels> or <BrushLabels> has no <Label value=...> in it")
        if len(labels) == 2 and labels[0] != labels[1]:
            raise wrong_project("<RectangleLabels> and <BrushLabels> have different labels; give both the same")
        names = [None if each is None else each.get("name") for each in (boxes, masks)]
        return cls(_key(image), _key(text), Controls(name, *names), labels[0])

    def phrases(self, data: Mapping[str, object]) -> list[str]:
        """Return the phrases of a task: a list, or a text with one phrase a line.

        Raises:
            Refusal: there are none.
        """
        value = data.get(self.phrase)
        texts = value if isinstance(value, list) else value.split("\n") if isinstance(value, str) else []
        found = [each.strip() for each in texts if isinstance(each, str) and each.strip()]
        if not found:
            raise unusable("no_phrase", f"the task's data has no phrase under {self.phrase!r}; give a text there")
        return found

    def address(self, data: Mapping[str, object]) -> str:
        """Return the address of the photo of a task.

        Raises:
            Refusal: there is none.
        """
        value = data.get(self.photo)
        if not isinstance(value, str) or not value:
            raise unusable("no_photo", f"the task's data has no photo under {self.photo!r}; give its address there")
        return value

    def label(self, found: Grounding) -> str:
        """Return the label of an answer: the one that is its phrase or its category, or else the first."""
        by_lower = {label.lower(): label for label in reversed(self.labels)}
        wanted = (found.expression.lower(), found.category.lower())
        return next((by_lower[each] for each in wanted if each in by_lower), self.labels[0])


def wrong_project(problem: str) -> Refusal:
    """Return the refusal of a project whose labelling configuration does not fit."""
    return unusable("wrong_project", f"the labelling configuration does not fit: {problem}. One that does: {EXAMPLE}")


def _parsed(config: str) -> ElementTree.Element:
    if "<!" in config.replace("<!--", ""):  # entities could grow without end, and name files
        raise wrong_project("it has a document type or an entity")
    try:
        return ElementTree.fromstring(config)
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: an encoding that is unknown
        raise wrong_project(f"it is not XML ({first_line(error)})") from error


def _only(root: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = [each for each in root.iter(tag) if each.get("value", "").startswith("$")]
    if len(found) != 1:
        raise wrong_project(f'it has {len(found)} <{tag}> with a value such as "$image", and needs one')
    return found[0]


def _labels(root: ElementTree.Element, tag: str, image: str) -> ElementTree.Element | None:
    return next((each for each in root.iter(tag) if each.get("toName") == image and each.get("name")), None)


def _values(labels: ElementTree.Element) -> tuple[str, ...]:
    return tuple(value for each in labels.iter("Label") if (value := each.get("value")))


def _key(element: ElementTree.Element) -> str:
    return element.get("value", "")[1:]
