"""`aligncat serve`: answer photos and phrases over HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aligncat.errors import ConfigError
from aligncat.serving.limits import Limits
from aligncat.serving.start import access_of, check_installed, serve_grounders

_TOKEN = "ALIGNCAT_LABEL_STUDIO_TOKEN"


def serve(
    grounders: list[str] = [],  # noqa: B006 - the command line gives a list, and nobody changes it
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    no_auth: bool = False,
    detector: str | Path | None = None,
    device: str | None = None,
    limits: Limits = Limits(),
    log_phrases: bool = False,
    label_studio_url: str | None = None,
    label_studio_token: str | None = None,
    page: bool = False,
) -> int:
    """Answer photos and phrases over HTTP, with one or several grounders.

    docs/serving.md describes the requests, and GET /openapi.json does so for programs. Ctrl-C or SIGTERM stops the
    server, after it has answered what it took.

    Args:
        grounders: folders that `aligncat train` wrote, hub names, or "training-free", each also as NAME=FOLDER. The
            first answers requests that name none. By default the shipped one, which knows the drawings of MojiRef, not
            photos.
        host: the address to listen on. Only this machine reaches the default; for any other, --api-key or --no-auth is
            needed. 0.0.0.0 is every address of this machine.
        port: the port to listen on; 0 for any that is free.
        api_key: the key that requests must have; better in the environment variable ALIGNCAT_API_KEY, which other users
            of this machine cannot see.
        no_auth: let everybody ask who reaches the server, without a key.
        detector: the detector of "training-free", or where the detector of the grounders is now, if that is not among
            them.
        device: the device: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is one.
        limits: what a request may have, and how long things may take.
        log_phrases: write the phrases of requests into the log; photos never are.
        label_studio_url: the address of a Label Studio, such as http://localhost:8080, for whose tasks the server is an
            ML backend (docs/label-studio.md). Photos of tasks are fetched there and nowhere else.
        label_studio_token: the access token for these photos; better in the environment variable
            ALIGNCAT_LABEL_STUDIO_TOKEN.
        page: also show a page for browsers at /page/ (extra [page]; docs/page.md).

    Returns:
        The number of photos that were answered.

    Raises:
        ConfigError: the extra [serve] or [page] is not installed, other machines can reach the server and neither a key
            nor --no-auth is given, the port is taken, or a grounder cannot be loaded.
        DetectorError: a detector cannot be loaded.
    """
    check_installed("serve", needed_by="aligncat serve")
    if page:
        check_installed("page", needed_by="aligncat serve --page")
    from aligncat.serving.app import AppSettings
    from aligncat.serving.label_studio.photos import LabelStudio

    access = access_of(host, api_key, no_auth=no_auth)
    token = os.environ.get(_TOKEN) if label_studio_token is None else label_studio_token
    if (label_studio_url is None) != (token is None):
        raise ConfigError("--label_studio_url and --label_studio_token are given together; give both or none")
    label_studio = None if label_studio_url is None or token is None else LabelStudio(label_studio_url, token)
    return serve_grounders(
        grounders or [],
        AppSettings(limits, access, log_phrases, label_studio, page),
        place=(host, port),
        device=device,
        detector=detector,
        greeting=_greeting,
    )


def _greeting(address: str, names: Sequence[str]) -> str:
    return f"{address} answers with {', '.join(names)}. Stop it with Ctrl-C."
