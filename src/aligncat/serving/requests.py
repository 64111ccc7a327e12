"""The bodies of requests: JSON and multipart forms, as the OpenAPI document describes them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError, model_validator
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aligncat.grounder.doubts import Thresholds
from aligncat.serving.limits import Limits
from aligncat.serving.refusals import Refusal, invalid, too_large
from aligncat.serving.service import Asked
from aligncat.wording import did_you_mean, listed_words

JSON, FORM = "application/json", "multipart/form-data"
MOST = 100
"""The largest `top`."""
_MOST_KEYS = 50  # of an object

Model = TypeVar("Model", bound=BaseModel)
_Share = Annotated[float, Field(ge=0, le=1)]
_MOST_VALUES = 100_000  # of a list; far above what any limit allows
_Phrases = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    FailFast(),  # pydantic would otherwise keep an error for each of millions of values
    Field(
        min_length=1,
        max_length=_MOST_VALUES,
        description="What to find, such as `red mug on the left`. Each phrase is grounded by itself.",
    ),
]
_PHOTO = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAD0lEQVR42mNowAEYhpYEAILzYAEllbNjAAAAAElFTkSuQmCC"
"""An 8 x 8 grey PNG."""


def _whole(value: object) -> object:
    """Return 2 for 2.0, which is an integer in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _has_few_keys(values: Any) -> Any:
    """Refuse an object with many unknown keys at once: pydantic would keep an error for each."""
    if isinstance(values, dict) and len(values) > _MOST_KEYS:
        raise ValueError(f"an object of {len(values):,} keys; openapi.json lists those that there are")
    return values


class Settings(BaseModel):
    """How phrases are answered. The same settings as of `aligncat ground`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    _few_keys = model_validator(mode="before")(_has_few_keys)

    grounder: str | None = Field(None, description="A name of `GET /v1/grounders`; by default the first.")
    several: bool = Field(
        False, description="Answer a phrase for several objects, such as `both dogs`, with all. Needs `match`."
    )
    top: Annotated[int, BeforeValidator(_whole)] = Field(
        1, ge=1, le=MOST, description="Give this many of the best candidates in `answers`."
    )
    min_match: _Share | None = Field(None, description="Leave out phrases whose `match` is lower.")
    min_probability: _Share | None = Field(None, description="Leave out answers whose `probability` is lower.")
    candidates: bool = Field(False, description="Also give all candidates with their scores, and the weights of words.")
    timeout: Annotated[float, Field(ge=0.1)] | None = Field(
        None, description="How many seconds to wait for the answer, if the server does not allow fewer."
    )

    def asked(self, photo: bytes, phrases: list[str]) -> Asked:
        """Return the question about a photo."""
        return Asked(
            photo,
            phrases,
            self.grounder,
            self.several,
            self.top,
            Thresholds(self.min_match, self.min_probability),
            self.timeout,
            self.candidates,
        )


class GroundRequest(Settings):
    """A photo and its phrases."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"photo": _PHOTO, "phrases": ["red mug"]}]})

    photo: str = Field(
        min_length=4,
        description="The photo's file in base64: JPEG, PNG, WebP, GIF, BMP, TIFF, PPM or AVIF. No address of a photo.",
        json_schema_extra={"format": "byte"},
    )
    phrases: _Phrases


class GroundForm(Settings):
    """A photo and its phrases, as a form. `phrases` is repeated for each phrase."""

    photo: bytes = Field(description="The photo's file.", json_schema_extra={"format": "binary"})
    phrases: _Phrases


_FIELDS = ("photo", "phrases", *Settings.model_fields)


class BatchRequest(BaseModel):
    """Several photos. Each is asked and answered by itself."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"requests": [{"photo": _PHOTO, "phrases": ["red mug"]}]}]},
    )

    requests: Annotated[list[GroundRequest], FailFast(), Field(min_length=1, max_length=_MOST_VALUES)]

    _few_keys = model_validator(mode="before")(_has_few_keys)


def parse(model: type[Model], body: bytes) -> Model:
    """Return a JSON body as a model.

    Raises:
        Refusal: it is not JSON, or not what the model says.
    """
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise _invalid(error) from error


def json_photo(request: GroundRequest, limits: Limits) -> bytes:
    """Return the photo of a JSON request.

    Raises:
        Refusal: it is too large, or not base64.
    """
    if len(request.photo) // 4 * 3 > limits.photo_bytes + 2:
        raise too_large("photo_too_large", f"the photo is too large; the limit is {limits.photo_bytes:,} bytes")
    try:
        return base64.b64decode(request.photo, validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters that are not ASCII
        raise invalid("photo: not base64; send the photo's file in base64, not its address or a data URL") from error


async def form_asked(content_type: str, body: bytes, limits: Limits) -> Asked:
    """Return what a multipart form asks.

    Raises:
        Refusal: the body is no such form, or ends before its end.
    """
    photo, phrases = None, []
    fields: dict[str, str] = {}
    for name, value in await _parts(content_type, body, limits):
        if isinstance(value, UploadFile):
            if name != "photo" or photo is not None:
                raise invalid(f"{name[:40]!r} is a file; send one file, named photo")
            photo = await value.read()
        elif name == "phrases":
            phrases.append(value)
        elif name in fields or name not in Settings.model_fields:
            raise invalid(f"{name[:40]!r} is no field of the form, or comes twice" + _instead(name))
        else:
            fields[name] = value
    if photo is None:
        raise invalid("photo: is missing; send the photo as a file")
    if not phrases or not all(phrases):
        raise invalid("phrases: there is none, or one is empty; send one field for each phrase")
    try:
        return Settings.model_validate_strings(fields).asked(photo, phrases)
    except ValidationError as error:
        raise _invalid(error) from error


class _InMemory(MultiPartParser):
    """Keeps files in memory: a photo is never written to a disk. Knows whether the last boundary was there."""

    ended = False

    def on_end(self) -> None:
        self.ended = True

    def on_part_end(self) -> None:
        super().on_part_end()
        part = self._current_part
        if part.file is None:
            self.items[-1] = (part.field_name, part.data.decode())


async def _parts(content_type: str, body: bytes, limits: Limits) -> list[tuple[str, Any]]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(
        Headers({"content-type": content_type}),
        whole(),
        max_files=2,
        max_fields=limits.phrases + len(Settings.model_fields) + 1,
        max_part_size=4 * limits.phrase_length + 4,
    )
    parser.spool_max_size = limits.request_bytes
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "a field is not UTF-8"
        raise _form_refusal(reason) from error
    if not parser.ended:
        raise invalid("the form ends before its last boundary; send it whole")
    return form.multi_items()


def _form_refusal(reason: str) -> Refusal:
    if reason.startswith("Too many fields"):
        return too_large("too_many_phrases", "the form has more fields than the server allows phrases and settings")
    if reason.startswith("Part exceeded"):
        return too_large(
            "phrase_too_long", "a field of the form is longer than a phrase may be; send the photo as a file"
        )
    return invalid(f"the form cannot be read ({reason})")


def _instead(name: str) -> str:
    if name == "photo":
        return "; send the photo as a file, with a name"
    return did_you_mean(name[:40], _FIELDS) or f"; the fields are {listed_words(_FIELDS)}"


def _invalid(error: ValidationError) -> Refusal:
    """Return the refusal of a body, with the places of its faults and without its values."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    told = [f"{'.'.join(map(str, fault['loc'])) or 'the body'}: {fault['msg']}" for fault in faults[:5]]
    more = [f"and {len(faults) - 5} more"] if len(faults) > 5 else []
    return invalid("; ".join([*told, *more]))
