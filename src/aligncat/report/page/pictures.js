"use strict";

(() => {
  /** Of masks and boxes, as in the figures: told apart by readers who see red and green alike (Okabe and Ito, 2008). */
  report.colours = { truth: [0, 158, 115], chosen: [213, 94, 0] };
  for (const [role, colour] of Object.entries(report.colours)) {
    document.documentElement.style.setProperty(`--${role}`, `rgb(${colour})`);
  }

  const SVG = "http://www.w3.org/2000/svg";

  function shape(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  /** A box as a line of one width at any size, on a darker one, to be seen on any picture. */
  function outline([left, top, right, bottom], role) {
    const place = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
    const group = shape("g", { class: `box ${role}` });
    group.append(shape("rect", { ...place, class: "edge" }), shape("rect", { ...place, class: "line" }));
    return group;
  }

  /**
   * A picture with boxes: { file, name, width, height } and [{ box, role }], the later above the earlier. Picture and
   * drawing each fill the frame with the image's aspect kept, so that they lie on each other.
   */
  report.picture = (image, boxes, { lazy = true } = {}) => {
    const frame = report.element("span", { class: "picture" });
    if (image.file === null) frame.append(report.element("span", { class: "gone" }, "The picture is not there: ", report.said("span", image.name)));
    else frame.append(photo(image, frame, lazy));
    const drawing = shape("svg", { viewBox: `0 0 ${image.width} ${image.height}`, "aria-hidden": "true" });
    drawing.append(...boxes.filter(({ box }) => box).map(({ box, role }) => outline(box, role)));
    frame.append(drawing);
    return frame;
  };

  function photo(image, frame, lazy) {
    const made = report.element("img", { alt: "", decoding: lazy ? "async" : "sync", loading: lazy ? "lazy" : "eager" });
    made.onerror = () => made.replaceWith(report.element("span", { class: "gone", text: `images/${image.file} is missing from the report’s folder` }));
    made.src = `images/${image.file}`;
    return made;
  }

  /** Add the outlines of masks, [{ counts, role }], to a picture of an image, below its boxes. */
  report.drawMasks = (frame, { width, height }, masks) => {
    const outlines = masks.map(({ counts, role }) => ({ role, d: report.maskOutline(counts, width, height) }));
    const drawn = ["edge", "line"].flatMap((line) => outlines.map(({ role, d }) => shape("path", { d, class: `mask ${role} ${line}` })));
    frame.querySelector("svg").prepend(...drawn); // every line on every edge, so that masks alike are both seen
  };

  /** Add boxes to a picture, below those it has. Returns what was drawn. */
  report.drawBoxes = (frame, boxes) => {
    const drawn = boxes.map(({ box, role }) => outline(box, role));
    frame.querySelector("svg").prepend(...drawn);
    return drawn;
  };
})();
