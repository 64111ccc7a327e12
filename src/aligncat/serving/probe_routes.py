"""The routes that say how a server is: health, readiness and metrics."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse

from aligncat.serving.observing import Metrics
from aligncat.serving.openapi import refusals
from aligncat.serving.responses import Health, Readiness
from aligncat.serving.service import Service


def probe_routes(service: Service, metrics: Metrics) -> APIRouter:
    """Return the routes.

    Args:
        service: what answers.
        metrics: what is counted.
    """
    router = APIRouter(tags=["server"])
    health = {"status": "UP", "model_class": "aligncat", "version": version("aligncat")}
    for device, queue in service.queues.items():
        metrics.waiting.labels(device).set_function(queue.__len__)

    @router.get("/health", summary="Whether the server runs", response_model=Health, responses=refusals(403))
    async def get_health() -> Response:
        return JSONResponse(health)

    @router.get(
        "/ready",
        summary="Whether the server takes requests",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "The app is stopping."}, **refusals(403)},
    )
    async def get_ready() -> Response:
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The metrics."},
            **refusals(401, 403),
        },
    )
    async def get_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
