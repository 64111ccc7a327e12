"""The web app: routes, and what stands before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp

from aligncat.grounder.photo_grounder import PhotoGrounder
from aligncat.serving.access import Access, Gate
from aligncat.serving.grounding_routes import grounding_routes
from aligncat.serving.label_studio.photos import LabelStudio, TaskPhotos
from aligncat.serving.label_studio.routes import LabelStudioRoutes
from aligncat.serving.limits import Limits
from aligncat.serving.observing import Metrics, Observed, note
from aligncat.serving.openapi import document, overview
from aligncat.serving.probe_routes import probe_routes
from aligncat.serving.reception import Reception
from aligncat.serving.refusals import Refusal
from aligncat.serving.service import Service

_UNDESCRIBED = ("/", "/openapi.json", "/setup", "/predict", "/webhook", "/page/", "/page/answer", "/page/photo")
"""Paths that the OpenAPI document does not describe."""
_CODES = {404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The settings of the app.

    Attributes:
        limits: what is accepted.
        access: who may ask.
        log_phrases: whether log lines have the phrases of requests.
        label_studio: the Label Studio whose tasks' photos may be fetched; None for none.
        page: whether there is a page for browsers.
    """

    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)
    log_phrases: bool = False
    label_studio: LabelStudio | None = None
    page: bool = False


def make_app(grounders: Mapping[str, PhotoGrounder], settings: AppSettings | None = None) -> FastAPI:
    """Return the app of a server.

    Its `state.service` is the `Service` that answers; what else is mounted on the app can ask it too. What is mounted
    stands behind the same checks of keys, sizes and times.

    Args:
        grounders: the grounders by name, at least one; the first is asked if a request names none. Their detectors are
            loaded here.
        settings: limits and access.

    Raises:
        DetectorError: a detector cannot be loaded.
    """
    settings = settings or AppSettings()
    metrics = Metrics()
    service = Service(grounders, settings.limits, on_batch=metrics.batches.observe)
    photos = None if settings.label_studio is None else TaskPhotos(settings.label_studio, settings.limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)
        if photos is not None:
            await photos.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service = service
    app.include_router(grounding_routes(service, metrics, log_phrases=settings.log_phrases))
    app.include_router(probe_routes(service, metrics))
    app.include_router(LabelStudioRoutes(service, photos, metrics).router())
    described = document(app, settings.limits, with_key=settings.access.key is not None)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(described)

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("page/") if settings.page else JSONResponse(overview(described))

    if settings.page:
        from aligncat.serving.page.mounting import mount_page  # which needs the extra [page]

        mount_page(app, service, metrics)
    app.add_exception_handler(HTTPException, _refused)
    # The last one that is added stands first.
    app.add_middleware(_Received, limits=settings.limits, metrics=metrics)
    app.add_middleware(Gate, access=settings.access)
    app.add_middleware(Observed, metrics=metrics, paths={*described["paths"], *_UNDESCRIBED})
    return app


class _Received(Reception):
    """A `Reception` whose held bytes are a metric."""

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics) -> None:
        super().__init__(app, limits)
        metrics.held.set_function(lambda: self.held)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer what no route takes in the form of all other refusals."""
    if not isinstance(error, HTTPException):
        raise error
    refusal = Refusal(error.status_code, _CODES.get(error.status_code, "refused"), f"{error.detail}; see /openapi.json")
    note(request.scope, error=refusal.code)
    return JSONResponse(refusal.plain(), error.status_code, error.headers)
