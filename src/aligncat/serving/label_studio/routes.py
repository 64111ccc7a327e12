"""The routes of Label Studio's ML backend protocol: /setup, /predict and /webhook. /health is the server's own.

Label Studio says with each request what its project is like, so that nothing is kept between two requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, FailFast, Field
from starlette.responses import JSONResponse

from aligncat.grounder.writers.label_studio import prediction
from aligncat.serving.device_queue import Question
from aligncat.serving.grounding_routes import gone, media_type, whole_body
from aligncat.serving.label_studio.photos import TaskPhotos
from aligncat.serving.label_studio.project import Project
from aligncat.serving.observing import Metrics, failure, note
from aligncat.serving.refusals import Refusal, unusable
from aligncat.serving.requests import JSON, Model, parse
from aligncat.serving.service import Asked, Service, refusal_of

logger = logging.getLogger(__name__)

_MOST_TASKS = 10_000
_MOST_LOGGED = 1000  # characters of what is wrong with a labelling configuration
_EVENT = re.compile(r"[A-Z_]{1,40}")


class SetupRequest(BaseModel):
    """What Label Studio sends when a project is connected. Its host name and token are not used."""

    schema_: str = Field(alias="schema", description="The labelling configuration.")
    project: str | None = None


class Task(BaseModel):
    """A task of Label Studio."""

    data: dict[str, Any]
    id: int | None = None


class PredictRequest(BaseModel):
    """Tasks to predict."""

    tasks: Annotated[list[Task], FailFast(), Field(max_length=_MOST_TASKS)]
    label_config: str = Field(description="The labelling configuration.")


class WebhookRequest(BaseModel):
    """An event of Label Studio."""

    action: str | None = None


class LabelStudioRoutes:
    """Answers Label Studio with the first grounder of a service."""

    def __init__(self, service: Service, photos: TaskPhotos | None, metrics: Metrics) -> None:
        """Prepare the answers.

        Args:
            service: what answers.
            photos: fetches the photos of tasks; None if the operator named no Label Studio.
            metrics: what is counted.
        """
        self._service = service
        self._photos = photos
        self._metrics = metrics
        # The photos of one turn are in memory at once, those of all other requests wait to be fetched.
        limits = service.limits
        self._turn = asyncio.Lock()
        self._most = max(1, min(limits.photos, limits.memory // limits.photo_bytes))
        self._name, grounder = next(iter(service.grounders.items()))
        self._version = f"aligncat {self._name} {grounder.fingerprint()[:8]}"

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        router.post("/setup")(self.setup)
        router.post("/predict")(self.predict)
        router.post("/webhook")(self.webhook)
        return router

    async def setup(self, request: Request) -> Response:
        """Check a project, and answer with the name of the model."""
        sent = await _parsed(SetupRequest, request)
        await self._fitting(sent.schema_, request)
        return JSONResponse({"model_version": self._version})

    async def predict(self, request: Request) -> Response:
        """Answer with a list of predictions for each task.

        The list is empty where a task cannot be predicted: a prediction without regions would count as an answer, and
        Label Studio would not ask again. `errors` says why, by the task's place in the request.
        """
        sent = await _parsed(PredictRequest, request)
        project, photos = await self._fitting(sent.label_config, request)
        note(request.scope, photos=len(sent.tasks))
        found: list[dict[str, Any] | Refusal] = []
        for start in range(0, len(sent.tasks), self._most):
            async with self._turn:
                found += await self._predict(project, photos, sent.tasks[start : start + self._most], request)
        refused = {place: each for place, each in enumerate(found) if isinstance(each, Refusal)}
        errors = [{"task": place, **each.plain()["error"]} for place, each in refused.items()]
        note(request.scope, **({"failed": sorted({each["code"] for each in errors})} if errors else {}))
        results = [[] if place in refused else [each] for place, each in enumerate(found)]
        return JSONResponse({"results": results, "errors": errors, "model_version": self._version})

    async def webhook(self, request: Request) -> Response:
        """Take an event, and do nothing: a grounder is trained with `aligncat train`."""
        event = (await _parsed(WebhookRequest, request)).action or ""
        note(request.scope, event=event if _EVENT.fullmatch(event) else "other")
        return JSONResponse({"result": "ignored"})

    async def _fitting(self, config: str, request: Request) -> tuple[Project, TaskPhotos]:
        """Return a project and what fetches its photos. Why not is logged: Label Studio shows the status alone."""
        try:
            return await asyncio.to_thread(Project.of, config), self._fetching()
        except Refusal as refusal:
            note(request.scope, problem=str(refusal)[:_MOST_LOGGED])
            raise

    def _fetching(self) -> TaskPhotos:
        if self._photos is None:
            raise unusable(
                "no_label_studio",
                "this server may fetch no photos; start it with --label_studio_url and --label_studio_token",
            )
        return self._photos

    async def _predict(
        self, project: Project, photos: TaskPhotos, tasks: Sequence[Task], request: Request
    ) -> list[dict[str, Any] | Refusal]:
        asked = await asyncio.gather(*(self._question(project, photos, each) for each in tasks))
        questions = [each for each in asked if not isinstance(each, Refusal)]
        try:
            answers = iter(await self._service.answers(questions, gone(request)) if questions else ())
        except Refusal as full:  # there is no room for them; the tasks of other turns keep their answers
            answers = iter([full] * len(questions))
        results: list[dict[str, Any] | Refusal] = []
        for each in asked:
            answer = each if isinstance(each, Refusal) else next(answers)
            error = answer if isinstance(answer, BaseException) else answer.error
            if error is not None:
                results.append(refusal_of(error) or _failed(error))
                continue
            assert not isinstance(answer, BaseException)
            objects = [found for grounding in answer.groundings for found in grounding.objects]
            labelled = [(found, project.label(found)) for found in objects]
            size = answer.size or (1, 1)
            shown = await asyncio.to_thread(prediction, labelled, size, self._version, project.controls)
            self._service.answered += 1
            self._metrics.photos.labels(self._name).inc()
            results.append(shown)
        return results

    async def _question(self, project: Project, photos: TaskPhotos, task: Task) -> tuple[str, Question] | Refusal:
        """Return the question of a task, or why there is none."""
        try:
            phrases = project.phrases(task.data)
            photo = await photos.fetch(project.address(task.data))
            return await asyncio.to_thread(self._service.question, Asked(photo, phrases))
        except Refusal as refusal:
            return refusal
        except Exception as error:
            return _failed(error)


def _failed(error: BaseException) -> Refusal:
    """Log a fault of the server, and return what a task says of it."""
    logger.error("%s", json.dumps(failure(error)))
    return Refusal(500, "failed", "the server failed on this photo")


async def _parsed(model: type[Model], request: Request) -> Model:
    media_type(request, JSON)
    return await asyncio.to_thread(parse, model, await whole_body(request))
