"use strict";

// The answer of one run in the viewer.
(() => {
  /**
   * Make the panel of a run's answer: picture, verdict, facts and word weights. `answers` is the run's overview,
   * `details` the answer's details with its candidates (missing until loaded), and `shows` has the viewer's switches.
   */
  report.panel = ({ split, number, answers, row, expression, details, shows }) => {
    const image = split.images[split.image[row]];
    const boxes = [{ box: split.truth[row], role: "truth" }, { box: answers.box[row], role: "chosen" }];
    const picture = report.picture(image, boxes, { lazy: false });
    picture.style.setProperty("--ratio", image.width / image.height);
    const rest = report.element("div", { class: "rest" });
    const panel = report.element(
      "article", { class: "panel" },
      report.element("h3", {}, report.userText("span", report.index.runs[answers.run].name), " ", report.verdict(answers.cause[row])),
      picture, rest,
    );
    if (shows.masks && expression) {
      const masks = [{ counts: expression.truth_mask, role: "truth" }, { counts: details?.mask, role: "chosen" }];
      report.drawMasks(picture, image, masks.filter(({ counts }) => counts));
    }
    if (answers.cause[row] === null) rest.append(report.element("p", { class: "note", text: "This run has no answer to this expression." }));
    else if (details) rest.append(facts(split, number, answers, row, details), ...words(details));
    return panel;
  };

  function facts(split, number, answers, row, details) {
    const list = report.element("dl", { class: "facts" });
    const say = (name, text, hint) => list.append(report.element("dt", { text: name, title: hint }), report.element("dd", { dir: "auto", text }));
    const cause = report.index.causes.find(({ name }) => name === answers.cause[row]);
    if (cause) say("cause", cause.meaning);
    say("probability", answers.probability[row].toFixed(3), "the chosen object’s share among the candidates kept");
    if (answers.match) say("match", answers.match[row].toFixed(3), "the probability that the picture holds what the expression says");
    if (report.index.splits[number].sets) say("named", `${details.named.length} of ${split.truth[row].length / 4} meant`, "the number of objects that the answer names, and that the expression means");
    say("box IoU", details.box_iou.toFixed(3));
    if (details.mask_iou !== null) say("mask IoU", details.mask_iou.toFixed(3));
    if (details.named.length) say("chosen class", classes(answers, details), "the detector’s class of what was chosen");
    if (details.predicted !== null) {
      const known = split.referent_category[row];
      say("category read", details.predicted + (known === null || known === details.predicted ? "" : `, but the truth is ${known}`), "the category that the text classifier predicted");
    }
    if (!details.matched) say("note", "no candidate had the category, so all were compared");
    return list;
  }

  const classes = (answers, { named, candidates }) => named.map((place) => answers.labels[candidates.categories[place]]).join(", ");

  /** Make the list of words, shaded by their weight in the phrase attention. */
  function words({ words: spoken, weights }) {
    if (!spoken.length) return [];
    const heaviest = Math.max(...weights);
    return [report.element("h4", { text: "Word weights" }), report.element("p", { class: "words", dir: "auto" }, ...spoken.map((word, place) => {
      const shaded = report.element("span", { class: "word" }, report.element("bdi", { text: word }), report.element("small", { text: weights[place].toFixed(2) }));
      shaded.style.setProperty("--weight", weights[place] / heaviest);
      return shaded;
    }))];
  }

  /**
   * Make a table of the candidates and draw their boxes in the picture. Pointing at a row highlights its box. Without a
   * second stage there is no column "kept".
   */
  report.candidates = (answers, details, picture) => {
    const staged = "fine" in details.scores;
    const { boxes, categories, confidences } = details.candidates;
    const order = categories.map((_, place) => place).sort((a, b) => details.probabilities[b] - details.probabilities[a] || a - b);
    const drawn = report.drawBoxes(picture, order.map((place) => ({
      box: boxes.slice(4 * place, 4 * place + 4), role: !staged || details.kept[place] ? "kept" : "dropped",
    })));
    const names = Object.keys(details.scores);
    const columns = [
      { title: "#", hint: "rank by the detector’s confidence", numeric: true }, { title: "class", hint: "c^V, the detector’s class" },
      ...(staged ? [{ title: "kept", hint: "whether the second stage could choose it" }] : []),
      { title: "IoU", hint: "IoU of its box with the truth", numeric: true }, { title: "probability", numeric: true },
      ...names.map((name) => ({ title: `S ${name}`, numeric: true })), { title: "confidence", hint: "the detector’s confidence", numeric: true },
    ];
    const digits = (value, many = 3) => (value === null ? null : { value, text: value.toFixed(many) });
    const rows = order.map((place) => [
      place + 1, answers.labels[categories[place]], ...(staged ? [details.kept[place] ? "yes" : "no"] : []), digits(details.ious[place], 2), digits(details.probabilities[place]),
      ...names.map((name) => digits(details.scores[name][place], name === "class" ? 0 : 3)), digits(confidences[place]),
    ]);
    const mark = (cells, row) => {
      const place = cells[0] - 1;
      const shape = drawn[order.indexOf(place)];
      if (details.named.includes(place)) row.className = "chosen";
      if (details.ious[place] > 0.5) row.classList.add("passes");
      row.onmouseenter = () => shape.classList.add("lit");
      row.onmouseleave = () => shape.classList.remove("lit");
    };
    const { name } = report.index.runs[answers.run];
    return report.table({ caption: `Candidates of ${name}`, note: "blue: IoU above 0.5; orange: chosen", columns, rows, mark });
  };
})();
