"""`aligncat page`: try phrases on photos in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligncat.serving.limits import Limits
from aligncat.serving.start import access_of, check_installed, serve_grounders

_DETECTOR = "mini"


def page(
    grounders: list[str] = [],  # noqa: B006 - the command line gives a list, and nobody changes it
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    no_auth: bool = False,
    detector: str | Path | None = None,
    device: str | None = None,
    limits: Limits = Limits(),
) -> int:
    """Try phrases on photos in the browser, with one or several grounders.

    Open the address that it prints. docs/page.md describes the page. Ctrl-C or SIGTERM stops it. It is the server of
    `aligncat serve` with the page, so other programs can ask it too.

    Args:
        grounders: folders that `aligncat train` wrote, hub names, or "training-free", each also as NAME=FOLDER. By
            default the shipped one, which knows the drawings of MojiRef, not photos, and "training-free" beside it.
        host: the address to listen on. Only this machine reaches the default; for any other, --api-key or --no-auth is
            needed. 0.0.0.0 is every address of this machine.
        port: the port to listen on; 0 for any that is free.
        api_key: the key that the browser asks for as a password, with any name; better in the environment variable
            ALIGNCAT_API_KEY, which other users of this machine cannot see.
        no_auth: let everybody ask who reaches the page, without a key.
        detector: the detector of "training-free", or where the detector of the grounders is now, if that is not among
            them. facebook/mask2former-swin-tiny-coco-instance knows photographs; the default of "training-free" is the
            shipped one, which knows the drawings of MojiRef.
        device: the device: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is one.
        limits: what a request may have, and how long things may take.

    Returns:
        The number of photos that were answered.

    Raises:
        ConfigError: the extra [page] is not installed, other machines can reach the page and neither a key nor
            --no-auth is given, the port is taken, or a grounder cannot be loaded.
        DetectorError: a detector cannot be loaded.
    """
    check_installed("page", needed_by="aligncat page")
    from aligncat.grounder.folder import SHIPPED
    from aligncat.grounder.names import TRAINING_FREE
    from aligncat.serving.app import AppSettings

    words = grounders or [str(SHIPPED), TRAINING_FREE]
    return serve_grounders(
        words,
        AppSettings(limits, access_of(host, api_key, no_auth=no_auth), page=True),
        place=(host, port),
        device=device,
        detector=detector or (_DETECTOR if any(word.rpartition("=")[2] == TRAINING_FREE for word in words) else None),
        greeting=_greeting,
    )


def _greeting(address: str, names: Sequence[str]) -> str:
    return f"Open {address}/page/ in a browser: it answers with {', '.join(names)}. Stop it with Ctrl-C."
