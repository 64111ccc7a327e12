"""Start a server of named grounders, for the verbs that run one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.errors import ConfigError

if TYPE_CHECKING:
    from aligncat.serving.access import Access
    from aligncat.serving.app import AppSettings

KEY = "ALIGNCAT_API_KEY"
"""The environment variable of the key."""
_SERVE = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx")
MODULES = {"serve": _SERVE, "page": (*_SERVE, "gradio", "jinja2")}
"""The modules of each extra."""

logger = logging.getLogger(__name__)


def check_installed(extra: str, *, needed_by: str) -> None:
    """Check that the packages of an extra are installed.

    Args:
        extra: a key of MODULES.
        needed_by: what needs them, for the message.

    Raises:
        ConfigError: one is not.
    """
    if missing := [name for name in MODULES[extra] if find_spec(name) is None]:
        raise ConfigError(f"{needed_by} needs {', '.join(missing)}; run pip install 'aligncat[{extra}]'")


def access_of(host: str, api_key: str | None, *, no_auth: bool) -> Access:
    """Return who may ask a server; see `Access.of`. Without a key, that of the environment counts.

    Args:
        host: the address to listen on.
        api_key: the key; an empty one is an error, and not the same as none.
        no_auth: whether everybody who reaches the server may ask.

    Raises:
        ConfigError: other machines can reach the server and nothing was decided, or two things were.
    """
    from aligncat.serving.access import Access

    return Access.of(host, os.environ.get(KEY) if api_key is None else api_key, no_auth=no_auth)


def serve_grounders(
    words: Sequence[str],
    settings: AppSettings,
    *,
    place: tuple[str, int],
    device: str | None,
    detector: str | Path | None,
    greeting: Callable[[str, Sequence[str]], str],
) -> int:
    """Load grounders, answer until Ctrl-C or SIGTERM, and return the number of photos that were answered.

    Args:
        words: the grounders; see `load_grounders`.
        settings: limits and access.
        place: the host and the port to listen on.
        device: the device; None for an accelerator if there is one.
        detector: see `load_grounders`.
        greeting: makes the line that says that the server is ready, from its address and the names of the grounders.

    Raises:
        ConfigError: the port is taken, or a grounder cannot be loaded.
        DetectorError: a detector cannot be loaded.
    """
    from aligncat.detectors.device import check_device, default_device
    from aligncat.serving.app import make_app
    from aligncat.serving.grounders import load_grounders
    from aligncat.serving.run import address, listen, make_server, run

    with listen(*place) as listening:  # a port that is taken is told before the slow work
        names = [Path(word).name if Path(word).exists() else word for word in words]
        logger.info("Loading %s ...", ", ".join(names) or "the shipped grounder")
        chosen = device or default_device()
        check_device(chosen)
        loaded = load_grounders(words, device=chosen, detector=detector)
        app = make_app(loaded, settings)
        logger.info("%s", greeting(address(listening), tuple(loaded)))
        run(make_server(app, settings.limits), listening)
    answered: int = app.state.service.answered
    return answered
