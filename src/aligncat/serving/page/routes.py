"""What the page asks for: an answer as HTML, an answer as a file, the examples and the page's own files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse

from aligncat.errors import ImageError
from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.serving.device_queue import Question
from aligncat.serving.grounding_routes import gone, media_type, whole_body
from aligncat.serving.observing import Metrics, note
from aligncat.serving.page.about import About
from aligncat.serving.page.downloads import DOWNLOADS, Download, answer_set
from aligncat.serving.page.examples import Example
from aligncat.serving.page.one_thread import OneThread
from aligncat.serving.page.pictures import shown_photo
from aligncat.serving.page.rendering import FOLDER, answer_html
from aligncat.serving.refusals import Refusal
from aligncat.serving.requests import FORM, form_asked
from aligncat.serving.service import Asked, Service, good_answer, unusable_photo

PAGE = "/page"
"""Where the page is."""
ANSWER = f"{PAGE}/answer"
"""Where the page asks."""
T = TypeVar("T")
_FILE = "application/octet-stream"
_Route: TypeAlias = Callable[[Request], Awaitable[Response]]
_MOST_NAME = 200  # characters of the photo's name


class PageRoutes:
    """Answers the page."""

    def __init__(
        self, service: Service, metrics: Metrics, about: tuple[About, ...], examples: tuple[Example, ...]
    ) -> None:
        """Prepare the answers.

        Args:
            service: what answers.
            metrics: what is counted.
            about: what the page says of each grounder.
            examples: the examples.
        """
        self._service = service
        self._metrics = metrics
        self._about: Mapping[str, About] = {each.name: each for each in about}
        self._examples = examples
        self._thread = OneThread()

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        router.get(PAGE)(self.moved)
        router.post(ANSWER)(self.answer)
        router.post(f"{PAGE}/photo")(self.photo)
        router.get(f"{PAGE}/examples/{{number}}.png")(self.example)
        for each in DOWNLOADS:
            router.post(f"{PAGE}/{each.name}")(self._maker(each))
        for name in ("page.js", "page.css"):
            router.get(f"{PAGE}/{name}")(self._file(name))
        return router

    async def moved(self) -> Response:
        """Answer where the page is, without a server's name, which a proxy may have changed."""
        return RedirectResponse("page/")

    async def answer(self, request: Request) -> Response:
        """Answer with what the page shows: the answer, or why there is none."""
        try:
            asked = await self._asked(request)
            question, found = await self._found(asked, request)
            return HTMLResponse(await self._made(question, lambda: self._rendered(asked, found, question.expires)))
        except Refusal as refusal:
            return _told(request, refusal)

    async def photo(self, request: Request) -> Response:
        """Answer with the data URL of a photo as the server reads it, or why it cannot be read."""
        try:
            media_type(request, _FILE)
            body = await whole_body(request)
            note(request.scope, bytes=len(body))
            seconds = self._service.limits.answer_seconds
            expires = time.monotonic() + seconds
            return PlainTextResponse(
                await self._thread.make(lambda: self._shown(body), seconds=seconds, expires=expires)
            )
        except Refusal as refusal:
            return _told(request, refusal)

    async def example(self, number: int) -> Response:
        """Answer with the picture of an example."""
        if not 0 <= number < len(self._examples):
            raise Refusal(404, "not_found", "there is no such example")
        return Response(self._examples[number].png, media_type="image/png")

    def _maker(self, download: Download) -> _Route:
        async def make(request: Request) -> Response:
            asked = await self._asked(request)
            question, found = await self._found(asked, request)
            grounder, name = self._name(asked), _name(request)
            labels = tuple(self._service.grounders[grounder].labels)
            answers = answer_set(name, tuple(asked.phrases), labels, found, grounder=grounder)
            content = await self._made(question, lambda: download.content(answers))
            file = quote(f"{name.rpartition('.')[0] or name}.{grounder}{download.ending}", safe="")
            headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{file}"}
            return Response(content, media_type=download.media_type, headers=headers)

        return make

    def _file(self, name: str) -> _Route:
        async def send(request: Request) -> Response:
            return FileResponse(FOLDER / name, headers={"Cache-Control": "no-cache"})

        return send

    async def _asked(self, request: Request) -> Asked:
        media_type(request, FORM)
        body = await whole_body(request)
        asked = await form_asked(request.headers["content-type"], body, self._service.limits)
        note(request.scope, bytes=len(body), photos=1, phrases=len(asked.phrases))
        return replace(asked, top=1, seconds=None, candidates=True)

    async def _found(self, asked: Asked, request: Request) -> tuple[Question, PhotoAnswer]:
        device, question = await asyncio.to_thread(self._service.question, asked)
        [answer] = await self._service.answers([(device, question)], gone(request))
        good = good_answer(answer)
        self._service.answered += 1
        self._metrics.photos.labels(self._name(asked)).inc()
        return question, good

    async def _made(self, question: Question, make: Callable[[], T]) -> T:
        return await self._thread.make(make, seconds=question.seconds, expires=question.expires)

    def _shown(self, photo: bytes) -> str:
        self._service.pixels(photo)
        try:
            return shown_photo(photo, max_pixels=self._service.limits.photo_pixels)
        except ImageError as error:
            raise unusable_photo(error) from error

    def _rendered(self, asked: Asked, found: PhotoAnswer, until: float) -> str:
        photo = shown_photo(asked.photo, max_pixels=self._service.limits.photo_pixels)
        about = self._about[self._name(asked)]
        return answer_html(about, photo, found, asked.thresholds, until=until)

    def _name(self, asked: Asked) -> str:
        return asked.grounder or next(iter(self._service.grounders))


def _told(request: Request, refusal: Refusal) -> Response:
    """Return a refusal as a sentence for the reader."""
    note(request.scope, error=refusal.code)
    message = str(refusal).rstrip(".")
    sentence = f"{message[:1].upper()}{message[1:]}{'' if message.endswith('?') else '.'}"
    return PlainTextResponse(sentence, headers={"X-Refusal": refusal.code})


def _name(request: Request) -> str:
    """Return the last part of the photo's name, as the browser gives it; it names nothing on this machine."""
    name = request.query_params.get("name", "").replace("\\", "/").rpartition("/")[2][:_MOST_NAME]
    kept = "".join(each for each in name if each.isprintable())
    return kept.strip(" .") or "photo"
