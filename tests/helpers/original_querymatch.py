"""The scores, masks and boxes of QueryMatch, written from its paper and its release, without OpenCV.

The key names are QueryMatch's. Each weight is drawn at random when it is first requested. The resulting state therefore
has exactly the weights that the computation uses.
"""

from __future__ import annotations

import re

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from helpers.original_mask2former import Weights, attention

HEADS, HIDDEN, WORD_DIM, FEEDFORWARD, BLOCKS = 8, 16, 6, 24, 2


def vocabulary(document: dict[str, list[dict[str, list[str]]]]) -> dict[str, int]:
    """Number the words of all splits in order of first occurrence, after three special symbols."""
    ids = {"PAD": 0, "UNK": 1, "CLS": 2}
    for rows in document.values():
        for row in rows:
            for sentence in row["refs"]:
                for word in words_of(sentence):
                    ids.setdefault(word, len(ids))
    return ids


def words_of(sentence: str) -> list[str]:
    return re.sub(r"[-/]", " ", re.sub(r"""[.,'!?"()*#:;]""", "", sentence.lower())).split()


def scores(w: Weights, ids: dict[str, int], sentence: str, queries: Tensor, max_words: int) -> Tensor:
    """Return the score of each query (O, d_v) for a sentence. It is padded to `max_words`, as in QueryMatch."""
    row = [ids.get(word, 1) for word in words_of(sentence)][:max_words]
    tokens = torch.tensor(row + [0] * (max_words - len(row)))
    x = gru(w, w.get("lang_encoder.embedding.weight", len(ids), WORD_DIM, spread=1.0)[tokens])
    forbidden = torch.where(tokens == 0, -1e9, 0.0)
    for block in range(BLOCKS):
        name = f"lang_encoder.sa_list.{block}."
        query, key, value = (w.linear(f"{name}mhatt.linear_{part}", x, HIDDEN) for part in "qkv")
        seen = w.linear(name + "mhatt.linear_merge", attention(query, key, value, HEADS, forbidden[None]), HIDDEN)
        x = norm(w, name + "norm1", x + seen)
        inside = w.linear(name + "ffn.mlp.fc.linear", x, FEEDFORWARD).relu()
        x = norm(w, name + "norm2", x + w.linear(name + "ffn.mlp.linear", inside, HIDDEN))
    name = "lang_encoder.att_flat."
    share = w.linear(name + "mlp.linear", w.linear(name + "mlp.fc.linear", x, HIDDEN // 2).relu(), 1)[:, 0]
    pooled = (share + forbidden).softmax(0) @ x
    text = w.linear("linear_ts", w.linear(name + "linear_merge", pooled, HIDDEN), HIDDEN)
    return w.linear("linear_vs", queries, HIDDEN) @ text


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    """Normalise with the sample standard deviation (n - 1), unlike LayerNorm."""
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().sum(-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
    size = x.shape[-1]
    return w.positive(name + ".weight", size) * centred / (deviation + 1e-6) + w.get(name + ".bias", size)


def gru(w: Weights, inputs: Tensor) -> Tensor:
    """Run a GRU (Cho et al., 2014) with the gates in torch's order: reset, update, new."""
    of_input = w.get("lang_encoder.GRU.weight_ih_l0", 3 * HIDDEN, WORD_DIM), w.get("lang_encoder.GRU.bias_ih_l0", 48)
    of_state = w.get("lang_encoder.GRU.weight_hh_l0", 3 * HIDDEN, HIDDEN), w.get("lang_encoder.GRU.bias_hh_l0", 48)
    state, states = torch.zeros(HIDDEN), []
    for step in inputs:
        reset_in, update_in, new_in = (of_input[0] @ step + of_input[1]).chunk(3)
        reset_by, update_by, new_by = (of_state[0] @ state + of_state[1]).chunk(3)
        update = (update_in + update_by).sigmoid()
        new = (new_in + (reset_in + reset_by).sigmoid() * new_by).tanh()
        state = (1 - update) * new + update * state
        states.append(state)
    return torch.stack(states)


def mask_and_box(logits: Tensor, width: int, height: int) -> tuple[NDArray[np.bool_], list[int]]:
    """Return the mask and the box of a query in an image, from its mask logits (h, w) for a letterbox of 416.

    The square is enlarged to 800, shrunk to 416 and thresholded; the image's part of it is resized as zeros and ones,
    and whatever is not zero is inside. The box is that of the largest contour in the square.
    """
    shrunk = F.interpolate(F.interpolate(logits[None, None], (800, 800), mode="bilinear"), (416, 416), mode="bilinear")
    square = shrunk[0, 0].numpy() > 0
    inner_width = 416 if width >= height else int(416 * (width / height))
    inner_height = 416 if height >= width else int(416 / (width / height))
    left, top = (416 - inner_width) // 2, (416 - inner_height) // 2
    down, across = touched(inner_height, height), touched(inner_width, width)
    mask = (down @ square[top : top + inner_height, left : left + inner_width].astype(int) @ across.T) > 0
    x1, y1, x2, y2 = largest_contour(square)
    corners = [((x - left) / inner_width * width, (y - top) / inner_height * height) for x, y in ((x1, y1), (x2, y2))]
    return mask, [int(value) for corner in corners for value in corner]  # towards zero


def touched(cells: int, pixels: int) -> NDArray[np.int64]:
    """Return which cells have a part in which pixels of a bilinear resize, (pixels, cells) zeros and ones."""
    table = np.zeros((pixels, cells), int)
    for pixel in range(pixels):
        # The exact centre of the pixel, in halves of a cell's share, so that no rounding decides what is touched.
        twice, whole = (2 * pixel + 1) * cells - pixels, 2 * pixels
        low = min(max(twice // whole, 0), cells - 1)
        table[pixel, low] = 1
        if twice > 0 and twice % whole and low + 1 < cells:
            table[pixel, low + 1] = 1
    return table


def largest_contour(square: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the box (x1, y1, x2, y2) of the piece whose outer contour, a polygon through pixel centres, is largest.

    A polygon covers a cell between four centres if all four pixels are inside, and half of it if three are. OpenCV
    lists contours from the bottom up, and QueryMatch takes the last of equals: the one that starts furthest up.
    """
    pieces, _ = ndimage.label(square, structure=np.ones((3, 3)))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1):
        piece = ndimage.binary_fill_holes(pieces[rows, columns] == number).astype(int)
        corners = piece[1:, 1:] + piece[1:, :-1] + piece[:-1, 1:] + piece[:-1, :-1]
        box = columns.start, rows.start, columns.stop, rows.stop
        found.append(((corners == 4).sum() + (corners == 3).sum() / 2, box))
    return max(found, key=lambda each: each[0])[1]  # label numbers pieces from the top, and max takes the first
