"use strict";

// The runs, the filters, and a card for each matching expression.
(() => {
  const PAGE = 48;
  const form = document.getElementById("filters");
  const gallery = document.getElementById("gallery");
  const fields = form.elements;
  const options = { kind: [], category: [] }; // values of the numbered options of a filter
  let number = 0; // number of the split
  let split = null;
  let shown = []; // answers of the shown runs
  let causeOf = null; // run that the cause filter applies to; null for any shown run
  let rows = [];
  let start = 0;

  report.startGallery = async () => {
    fill(fields.split, report.index.splits.map(({ name }, place) => [place, name]));
    fields.split.parentElement.hidden = report.index.splits.length < 2;
    form.onsubmit = (event) => event.preventDefault();
    form.oninput = (event) => {
      if (event.target.name === "split") open(Number(fields.split.value));
      else {
        if (event.target.name === "cause") causeOf = null;
        select();
      }
    };
    form.onreset = (event) => {
      event.preventDefault(); // a reset would change the split
      clear();
    };
    await open(0);
  };

  function clear() {
    for (const name of ["answer", "cause", "match", "kind", "category", "words"]) fields[name].value = "";
    causeOf = null;
    select();
  }

  async function open(wanted) {
    number = wanted;
    const loaded = await report.load(`split-${wanted}`);
    if (number !== wanted) return; // another split was chosen meanwhile
    const names = shown.map((answers) => answers.run);
    split = loaded;
    const { first } = report.index.splits[number];
    const kept = split.answers.filter((answers) => names.includes(answers.run));
    shown = kept.length ? kept : split.answers.filter((answers) => first.includes(answers.run));
    showRuns();
    fillFilters();
    select();
  }

  // ---- runs

  function showRuns() {
    document.getElementById("runs").replaceChildren(...report.index.splits[number].runs.map(runTile));
  }

  function runTile(run, place) {
    const { name, detector, seed } = report.index.runs[run.run];
    const [whole] = run.tables.find(({ by }) => by === "all").rows;
    const counts = report.index.causes.map((cause, at) => [cause.name, whole.causes[at]]).filter(([, count]) => count);
    const right = whole.expressions - counts.reduce((sum, [, count]) => sum + count, 0);
    const answers = split.answers[place];
    const box = report.element("input", { type: "checkbox" });
    box.checked = shown.includes(answers);
    box.onchange = () => {
      const next = split.answers.filter((other) => (other === answers ? box.checked : shown.includes(other)));
      if (!next.length) box.checked = true; // at least one run is shown
      else shown = next;
      fillFilters();
      select();
    };
    const filterBy = (cause) => {
      const isSet = fields.cause.value === cause && causeOf === answers.run;
      if (!box.checked) box.click();
      fields.cause.value = isSet ? "" : cause;
      causeOf = isSet ? null : answers.run;
      select();
    };
    return report.element(
      "section", { class: "run", "aria-label": name },
      report.element("label", { class: "name" }, box, report.userText("span", name)),
      report.element("p", { class: "score" }, report.element("strong", { text: report.percent(whole.rec) }), report.index.splits[number].sets ? " named exactly what is meant (F1 = 1)" : " right boxes (REC)"),
      report.shares([["right", right], ...counts]),
      report.element("ul", { class: "counts" }, ...[["right", right], ...counts].map(([cause, count]) => causeButton(run.run, cause, count, filterBy))),
      report.element(
        "p", { class: "note" }, `${report.count(whole.expressions)} expressions · seed ${seed ?? "none"} · detector `,
        report.userText("bdi", detector), `, which ${run.training}`,
      ),
    );
  }

  function causeButton(run, cause, count, filterBy) {
    const button = report.element(
      "button", { type: "button", "data-cause": cause, "data-run": run, title: `show: ${report.causeName(cause)}` },
      report.element("span", { class: "swatch" }), `${report.causeName(cause)} `, report.element("b", { text: report.count(count) }),
    );
    button.onclick = () => filterBy(cause);
    return report.element("li", {}, button);
  }

  // ---- filters

  /** Set the options of a select, [value, text], and keep its value if it is still an option. */
  function fill(select, choices) {
    const before = select.value;
    select.replaceChildren(...choices.map(([value, text]) => report.element("option", { value, text })));
    select.value = choices.some(([value]) => String(value) === before) ? before : choices[0][0];
  }

  function fillFilters() {
    fill(fields.answer, report.answerChoices(shown));
    fill(fields.order, report.orders(shown));
    const names = ["right", ...report.index.causes.map(({ name }) => name)];
    fill(fields.cause, [["", "any"], ...names.map((name) => [name, `${report.causeName(name)} (${count((row) => shown.some((answers) => answers.cause[row] === name))})`])]);
    fill(fields.match, report.matchChoices(shown).map(([value, text, fits]) => [value, value === "" ? text : `${text} (${count(fits)})`]));
    fields.match.parentElement.hidden = !shown.some((answers) => answers.match);
    fillValues("kind", split.kind, report.index.kinds);
    fillValues("category", split.referent_category, report.index.categories);
  }

  /** Offer the values of all splits; a value that this split lacks has the count 0. */
  function fillValues(name, column, known) {
    options[name] = [...known, ...(column.includes(null) ? [null] : [])];
    const counts = new Map();
    for (const value of column) counts.set(value, (counts.get(value) ?? 0) + 1);
    const choices = options[name].map((value, place) => [place, `${value ?? "not recorded"} (${report.count(counts.get(value) ?? 0)})`]);
    fill(fields[name], [["", "any"], ...choices]);
  }

  const count = (fits) => report.count(split.text.reduce((sum, _, row) => sum + fits(row), 0));

  function select() {
    const chosen = (name) => (fields[name].value === "" ? "" : options[name][Number(fields[name].value)]);
    if (!shown.some((answers) => answers.run === causeOf)) causeOf = null;
    rows = report.selectRows(split, shown, {
      causeOf,
      answer: fields.answer.value, cause: fields.cause.value, match: fields.match.value, kind: chosen("kind"), category: chosen("category"),
      words: fields.words.value, order: fields.order.value,
    });
    for (const button of document.querySelectorAll("#runs button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.run) === causeOf && button.dataset.cause === fields.cause.value));
    }
    turnTo(0);
  }

  // ---- cards

  function turnTo(first) {
    start = first;
    const total = split.text.length;
    const many = rows.length === total ? report.count(total) : `${report.count(rows.length)} of ${report.count(total)}`;
    const whose = causeOf === null ? "" : ` · ${report.causeName(fields.cause.value)} in ${report.index.runs[causeOf].name}`;
    document.getElementById("count").textContent = `${many} expressions${whose}`;
    gallery.style.setProperty("--runs", shown.length);
    gallery.classList.toggle("several", shown.length > 1);
    gallery.replaceChildren(...rows.slice(start, start + PAGE).map(card));
    if (!rows.length) gallery.append(nothing());
    document.querySelectorAll(".pager").forEach((pager) => pager.replaceChildren(...pagerParts()));
  }

  function nothing() {
    const button = report.element("button", { type: "button", text: "Clear the filters" });
    button.onclick = clear;
    return report.element("li", { class: "notice" }, report.element("p", { text: "No expression matches these filters." }), button);
  }

  function pagerParts() {
    if (rows.length <= PAGE) return [];
    const move = (text, label, first) => {
      const button = report.element("button", { type: "button", text, "aria-label": label });
      button.disabled = first < 0 || first >= rows.length;
      button.onclick = () => {
        turnTo(first);
        document.getElementById("filters").scrollIntoView({ block: "start" });
      };
      return button;
    };
    const end = Math.min(start + PAGE, rows.length);
    return [
      move("←", "Previous page", start - PAGE),
      report.element("span", { text: `${report.count(start + 1)}–${report.count(end)} of ${report.count(rows.length)}` }),
      move("→", "Next page", start + PAGE),
    ];
  }

  function card(row) {
    const button = report.element(
      "button", { type: "button", class: "card", "data-row": row },
      report.userText("span", split.text[row], { class: "text" }),
      report.element("span", { class: "pictures" }, ...shown.map((answers) => cardOf(answers, row))),
    );
    button.onclick = () => report.view(rows.indexOf(row), { rows, split, number, shown, closed: returnTo });
    return report.element("li", {}, button);
  }

  function cardOf(answers, row) {
    const image = split.images[split.image[row]];
    const boxes = [{ box: split.truth[row], role: "truth" }, { box: answers.box[row], role: "chosen" }];
    return report.element(
      "span", { class: "answer" },
      report.picture(image, boxes),
      report.element(
        "span", { class: "outcome" },
        shown.length > 1 ? report.userText("span", report.index.runs[answers.run].name, { class: "name" }) : null,
        report.verdict(answers.cause[row]),
        report.element("span", { class: "number", text: measure(answers, row) }),
      ),
    );
  }

  /** Return the number below a picture: the match where an answer may name nothing, or else the probability. */
  function measure(answers, row) {
    const matched = report.index.splits[number].sets && answers.match;
    const value = matched ? answers.match[row] : answers.probability[row];
    return value === null ? "" : `${matched ? "match" : "probability"} ${value.toFixed(2)}`;
  }

  /** After the viewer closes, return to the page and card of the expression that it showed last. */
  function returnTo(place) {
    const first = PAGE * Math.floor(place / PAGE);
    if (first !== start) turnTo(first);
    const cards = gallery.querySelectorAll(".card");
    cards[place - first]?.focus();
  }

  // ---- keys: arrows move between cards

  gallery.onkeydown = (event) => {
    const cards = [...gallery.querySelectorAll(".card")];
    const at = cards.indexOf(document.activeElement);
    if (at < 0) return;
    const across = cards.filter((other) => other.offsetTop === cards[0].offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    cards[at + step]?.focus();
  };
})();
