"use strict";

(() => {
  /**
   * Decode COCO's compressed run lengths into numbers. A number is written as groups of five bits, the lowest first,
   * with one character per group (its code minus 48). Bit 6 of a character tells that another group follows; the
   * highest bit of the last group is the sign. From the fourth on, a number is the difference to the one two before it.
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

  /** Decode a mask into 0 and 1, column by column. Runs of 0 and 1 alternate, starting with 0. */
  report.decodeMask = (counts, width, height) => {
    const pixels = new Uint8Array(width * height);
    let place = 0;
    report.runLengths(counts).forEach((length, turn) => {
      if (turn % 2) pixels.fill(1, place, place + length);
      place += length;
    });
    return pixels;
  };

  /** Return the outline of a mask as an SVG path in pixels, one stroke per straight piece of its border. */
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

  /** Call found(start, length) for each run of places below `end` where isEdge(place) is true. */
  function pieces(end, isEdge, found) {
    let start = 0;
    for (let place = 0; place <= end; place += 1) {
      if (place < end && isEdge(place)) continue;
      if (place > start) found(start, place - start);
      start = place + 1;
    }
  }
})();
