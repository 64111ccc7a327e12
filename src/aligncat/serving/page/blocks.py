"""The page's fields, as Gradio draws them. Nothing here runs on the server: the browser asks `PageRoutes`."""

from __future__ import annotations

from typing import Any

import gradio
from gradio.themes import Base, colors, sizes

from aligncat.serving.limits import Limits
from aligncat.serving.page.about import About, advice
from aligncat.serving.page.examples import Example
from aligncat.serving.page.rendering import about_html, head_html, photo_html, place_html, settings_html, status_html

NOBODY = "none"
"""The choice of no second grounder."""
_HEAD = '<link rel="stylesheet" href="page.css"><script src="page.js"></script>'
_SYSTEM_FONTS = ("system-ui", "sans-serif")


def page_theme() -> Base:
    """Return the colours and the fonts, which are those of the reader's system: none is loaded."""
    theme = Base(
        primary_hue=colors.blue,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_sm,
        font=_SYSTEM_FONTS,
        font_mono=("ui-monospace", "monospace"),
    )
    # Gradio's own blue is too light for white letters.
    return theme.set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")


def page_blocks(about: tuple[About, ...], examples: tuple[Example, ...], limits: Limits) -> gradio.Blocks:
    """Return the page.

    Args:
        about: what it says of each grounder.
        examples: its examples.
        limits: what the server accepts.
    """
    names = [each.name for each in about]
    plain: dict[str, Any] = {"apply_default_css": False, "head": _HEAD}
    with gradio.Blocks(title="aligncat", analytics_enabled=False, fill_width=True) as blocks:
        gradio.HTML(head_html(advice(about)), elem_id="heading", **plain)
        with gradio.Row(elem_id="columns"):
            with gradio.Column(scale=2, min_width=280, elem_id="question"):
                photo = gradio.HTML(
                    html_template=photo_html(examples, most_bytes=limits.photo_bytes),
                    js_on_load="page.start(element, () => trigger('select'))",
                    elem_id="photo",
                    **plain,
                )
                phrases = gradio.Textbox(
                    label="Phrases, one on each line",
                    placeholder="red mug on the left",
                    lines=3,
                    max_lines=12,
                    max_length=limits.phrases * (limits.phrase_length + 1),
                    elem_id="phrases",
                )
                first = gradio.Radio(names, value=names[0], label="Grounder", elem_id="first", visible=len(names) > 1)
                second = gradio.Radio(
                    [NOBODY, *names], value=NOBODY, label="Compare with", elem_id="second", visible=len(names) > 1
                )
                gradio.HTML(
                    html_template=settings_html(about),
                    js_on_load="page.prepare(element)",
                    elem_id="how",
                    **plain,
                )
                ask = gradio.Button("Find", variant="primary", elem_id="ask")
            with gradio.Column(scale=3, min_width=280, elem_id="answer"):
                gradio.HTML(status_html(), **plain)
                answer = gradio.HTML(place_html(), elem_id="answers", js_on_load="page.listen(element)", **plain)
        gradio.HTML(about_html(about), elem_id="about", **plain)
        asking = {"fn": None, "inputs": [phrases, first, second], "outputs": answer, "js": "page.ask"}
        gradio.on([first.change, second.change], fn=None, inputs=[first, second], outputs=second, js="page.offer")
        ask.click(**asking)
        phrases.submit(**asking)
        photo.select(fn=None, inputs=phrases, outputs=phrases, js="page.phrases").then(**asking)
    return blocks
