"use strict";

(() => {
  /** Colours of masks and boxes, the same as in the figures and safe for colour-blind readers (Okabe and Ito, 2008). */
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

  /** Draw a box as a line on a wider dark line, visible on any picture; its width does not scale with the picture. */
  function outline([left, top, right, bottom], role) {
    const place = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
    const group = shape("g", { class: `box ${role}` });
    group.append(shape("rect", { ...place, class: "edge" }), shape("rect", { ...place, class: "line" }));
    return group;
  }

  /** Split a list of numbers into groups of four. */
  const four = (values) => Array.from({ length: values.length / 4 }, (_, place) => values.slice(4 * place, 4 * place + 4));

  /**
   * Make a picture, { file, name, width, height }, with boxes, [{ box, role }]; later boxes are on top. A `box` has four
   * numbers for each object, and may be empty or null. Photo and drawing both fill the frame and keep the image's
   * aspect, so they coincide.
   */
  report.picture = (image, boxes, { lazy = true } = {}) => {
    const frame = report.element("span", { class: "picture" });
    if (image.file === null) frame.append(report.element("span", { class: "gone" }, "Missing picture: ", report.userText("span", image.name)));
    else frame.append(photo(image, frame, lazy));
    const drawing = shape("svg", { viewBox: `0 0 ${image.width} ${image.height}`, "aria-hidden": "true" });
    drawing.append(...boxes.flatMap(({ box, role }) => four(box ?? []).map((each) => outline(each, role))));
    frame.append(drawing);
    return frame;
  };

  function photo(image, frame, lazy) {
    const made = report.element("img", { alt: "", decoding: lazy ? "async" : "sync", loading: lazy ? "lazy" : "eager" });
    made.onerror = () => made.replaceWith(report.element("span", { class: "gone", text: `images/${image.file} is missing from the report’s folder` }));
    made.src = `images/${image.file}`;
    return made;
  }

  /** Add the outlines of masks, [{ counts, role }], to an image's picture, below its boxes. */
  report.drawMasks = (frame, { width, height }, masks) => {
    const outlines = masks.map(({ counts, role }) => ({ role, d: report.maskOutline(counts, width, height) }));
    const drawn = ["edge", "line"].flatMap((line) => outlines.map(({ role, d }) => shape("path", { d, class: `mask ${role} ${line}` })));
    frame.querySelector("svg").prepend(...drawn); // all lines above all edges, so both of two equal masks are visible
  };

  /** Add boxes to a picture, below its present boxes, and return the added shapes. */
  report.drawBoxes = (frame, boxes) => {
    const drawn = boxes.map(({ box, role }) => outline(box, role));
    frame.querySelector("svg").prepend(...drawn);
    return drawn;
  };
})();
