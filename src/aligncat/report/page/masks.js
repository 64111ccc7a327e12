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

  const LARGEST = 800; // px: more than the canvas shows

  /** Paint masks over each other on a canvas. `layers` has { counts, colour: [r, g, b], opacity }. */
  report.paintMasks = (canvas, width, height, layers) => {
    const scale = Math.min(1, LARGEST / Math.max(width, height));
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    const painted = context.createImageData(canvas.width, canvas.height);
    for (const { counts, colour, opacity } of layers) {
      const mask = report.decodeMask(counts, width, height);
      for (let y = 0; y < canvas.height; y += 1) {
        const row = Math.floor((y + 0.5) * height / canvas.height);
        for (let x = 0; x < canvas.width; x += 1) {
          const column = Math.floor((x + 0.5) * width / canvas.width);
          if (mask[column * height + row]) lay(painted.data, 4 * (y * canvas.width + x), colour, opacity);
        }
      }
    }
    context.putImageData(painted, 0, 0);
  };

  /** Lay a colour over what a pixel has ("source over", with straight alpha). */
  function lay(data, at, colour, opacity) {
    const under = data[at + 3] / 255;
    const alpha = opacity + under * (1 - opacity);
    for (let channel = 0; channel < 3; channel += 1) {
      data[at + channel] = (colour[channel] * opacity + data[at + channel] * under * (1 - opacity)) / alpha;
    }
    data[at + 3] = 255 * alpha;
  }
})();
