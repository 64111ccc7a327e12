"use strict";

(() => {
  /**
   * COCO's compressed run lengths, as numbers. Each is written in groups of five bits, the lowest first, a character a
   * group (its code less 48); bit 6 says that another group follows, and the highest bit of the last is the sign. From
   * the fourth on, a number is the difference to the one two places before.
   */
  report.runLengths = (counts) => {
    const lengths = [];
    let value = 0;
    let shift = 0;
    for (const character of counts) {
      const group = character.charCodeAt(0) - 48;
      value += (group & 31) * 2 ** shift;
      shift += 5;
      if (group & 32) continue;
      if (group & 16) value -= 2 ** shift;
      lengths.push(lengths.length > 2 ? value + lengths[lengths.length - 2] : value);
      value = 0;
      shift = 0;
    }
    return lengths;
  };

  /** A mask as 0 and 1, column by column: runs of 0 and of 1 take turns, and 0 begins. */
  report.decodeMask = (counts, width, height) => {
    const pixels = new Uint8Array(width * height);
    let place = 0;
    report.runLengths(counts).forEach((length, turn) => {
      if (turn % 2) pixels.fill(1, place, place + length);
      place += length;
    });
    return pixels;
  };

  /** The edge of a mask as an SVG path, in pixels: a stroke for each straight piece of the border of its pixels. */
  report.maskOutline = (counts, width, height) => {
    const pixels = report.decodeMask(counts, width, height);
    const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : pixels[x * height + y]);
    const strokes = [];
    for (let y = 0; y <= height; y += 1) {
      pieces(width, (x) => at(x, y) !== at(x, y - 1), (x, length) => strokes.push(`M${x} ${y}h${length}`));
    }
    for (let x = 0; x <= width; x += 1) {
      pieces(height, (y) => at(x, y) !== at(x - 1, y), (y, length) => strokes.push(`M${x} ${y}v${length}`));
    }
    return strokes.join("");
  };

  /** Call found(start, length) for each run of places below `end` that are on the edge. */
  function pieces(end, isEdge, found) {
    let start = 0;
    for (let place = 0; place <= end; place += 1) {
      if (place < end && isEdge(place)) continue;
      if (place > start) found(start, place - start);
      start = place + 1;
    }
  }
})();
