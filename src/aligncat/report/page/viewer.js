"use strict";

// The viewer: a large view of one expression.
(() => {
  const dialog = document.getElementById("viewer");
  const text = document.getElementById("viewer-text");
  const [place, facts, panels, tables] = [".place", ".facts", ".panels", ".candidates"].map((part) => dialog.querySelector(part));
  const control = (name) => dialog.querySelector(`[name=${name}]`);
  let at = 0;
  let from = null; // the gallery's state: rows, split, number, shown, closed

  /** Open the viewer at an index of the gallery's rows. */
  report.view = (wanted, gallery) => {
    from = gallery;
    dialog.showModal();
    show(wanted);
    text.focus();
  };

  control("previous").onclick = () => show(at - 1);
  control("next").onclick = () => show(at + 1);
  control("close").onclick = () => dialog.close();
  control("masks").onchange = () => show(at);
  control("candidates").onchange = () => show(at);
  dialog.onclose = () => from.closed(at);
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close(); // a click on the backdrop
  };
  dialog.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(at + step);
  };

  async function show(wanted) {
    if (wanted < 0 || wanted >= from.rows.length) return;
    at = wanted;
    const { rows, split, shown, number } = from;
    const row = rows[at];
    place.textContent = `${report.count(at + 1)} of ${report.count(rows.length)}`;
    control("previous").disabled = at === 0;
    control("next").disabled = at === rows.length - 1;
    text.textContent = split.text[row];
    const shows = { masks: control("masks").checked, candidates: control("candidates").checked };
    const still = () => from.rows === rows && rows[at] === row; // the viewer has not moved on
    const draw = (expression, details) => {
      facts.replaceChildren(...factsOf(split, row, expression));
      const made = shown.map((answers, run) => report.panel({ split, number, answers, row, expression, details: details[run], shows }));
      panels.replaceChildren(...made);
      tables.replaceChildren(...(shows.candidates ? candidates(made, details) : []));
    };
    const { chunk } = report.index;
    const file = Math.floor(row / chunk);
    try {
      const wantedFiles = [`expressions-${number}-${file}`, ...shown.map(({ run }) => `answers-${number}-${run}-${file}`)];
      const loading = Promise.all(wantedFiles.map(report.load));
      if (!await isQuick(loading)) draw(null, []); // show the picture until the details arrive
      const [expressions, ...answers] = await loading;
      if (still()) draw(expressions[row % chunk], answers.map((loaded) => withCandidates(loaded, row % chunk)));
    } catch (error) {
      if (!still()) return;
      draw(null, []);
      panels.prepend(report.element("p", { class: "notice", text: error.message }));
    }
  }

  /** Make the runs' tables of candidates. They go below the panels, since their many columns need the full width. */
  function candidates(made, details) {
    return from.shown.flatMap((answers, run) => (
      details[run] ? [report.candidates(answers, details[run], made[run].querySelector(".picture"))] : []));
  }

  /** Return whether a promise resolves within 50 ms, so that no intermediate state need be shown. */
  const isQuick = (promise) => Promise.race([promise.then(() => true), new Promise((resolve) => setTimeout(resolve, 50, false))]);

  function withCandidates(loaded, place) {
    const details = loaded.rows[place];
    return details && { ...details, candidates: loaded.candidates[details.candidates] };
  }

  function factsOf(split, row, expression) {
    const alike = split.same_category[row];
    const facts = [
      ["kind", split.kind[row]], ["category", split.referent_category[row]],
      ["needed", expression?.needed?.join(", ")], ["redundant", expression?.redundant?.join(", ")],
      ["objects alike", alike === null ? null : String(alike)], ["size", `${report.percent(split.size[row])} of the image`],
      ["id", split.expression_id[row]], ["image", split.images[split.image[row]].name],
    ];
    return facts.filter(([, value]) => value).map(([name, value]) => report.element("li", {}, report.element("span", { text: `${name} ` }), report.userText("bdi", value)));
  }
})();
