"use strict";

// Selection and order of the shown expressions.
(() => {
  const isRight = (answers, row) => answers.cause[row] === "right";

  /** Return whether some runs answer a row right and others wrong. */
  function changed(runs, row) {
    const found = runs.filter((answers) => answers.cause[row] !== null).map((answers) => isRight(answers, row));
    return found.includes(true) && found.includes(false);
  }

  /** Return the options of the answer filter: [value, label, test of a row]. */
  report.answerChoices = (runs) => {
    const several = runs.length > 1;
    const every = several ? " in every run" : "";
    const choices = [
      ["", "any", () => true],
      ["right", `right${every}`, (row) => runs.every((answers) => isRight(answers, row))],
      ["wrong", `wrong${every}`, (row) => runs.every((answers) => answers.cause[row] !== null && !isRight(answers, row))],
    ];
    if (!several) return choices;
    return [
      ...choices,
      ["changed", "changed between runs", (row) => changed(runs, row)],
      ...runs.map((answers) => [
        `only ${answers.run}`, `right only in ${report.index.runs[answers.run].name}`,
        (row) => isRight(answers, row) && runs.every((other) => other === answers || !isRight(other, row)),
      ]),
    ];
  };

  /** Return the options of the match filter, of the first shown run that has a match: [value, label, test of a row]. */
  report.matchChoices = (runs) => {
    const matched = runs.find((answers) => answers.match);
    if (!matched) return [["", "any", () => true]];
    const quarters = [["under 25%", 0, 0.25], ["25 to 50%", 0.25, 0.5], ["50 to 75%", 0.5, 0.75], ["75% and more", 0.75, Infinity]];
    return [
      ["", "any", () => true],
      ["nothing", "nothing named", (row) => matched.cause[row] !== null && matched.box[row] === null],
      ...quarters.map(([text, low, high]) => [
        String(low), text, (row) => matched.match[row] !== null && matched.match[row] >= low && matched.match[row] < high,
      ]),
    ];
  };

  const by = (key, direction = 1) => (rows, ...data) => {
    const keys = new Map(rows.map((row) => [row, key(row, ...data)]));
    return rows.sort((a, b) => {
      const [first, second] = [keys.get(a), keys.get(b)];
      if (first === null || second === null) return (first === null) - (second === null) || a - b;
      return direction * (first - second) || a - b;
    });
  };

  /** Put changed answers first, then wrong ones, then right ones. Within each group, images take turns. */
  function byChange(rows, split, runs) {
    const turns = new Map();
    return by((row) => {
      const rank = changed(runs, row) ? 0 : isRight(runs[0], row) ? 2 : 1;
      const image = `${rank} ${split.image[row]}`;
      turns.set(image, (turns.get(image) ?? 0) + 1);
      return rank * rows.length + turns.get(image) - 1;
    })(rows);
  }

  /** Return the orders: [value, label, sort(rows, split, runs)]; unknown values come last. */
  report.orders = (runs) => [
    ...(runs.length > 1 ? [["changed", "changed first", byChange]] : []),
    ["data", "as in the data", (rows) => rows],
    ["unsure", "least sure first", by((row, _, shown) => shown[0].probability[row])],
    ["sure", "surest first", by((row, _, shown) => shown[0].probability[row], -1)],
    ...(runs[0].match ? [["match", "least match first", by((row, _, shown) => shown[0].match[row])]] : []),
    ["alike", "most objects alike first", by((row, split) => split.same_category[row], -1)],
    ["small", "smallest referent first", by((row, split) => split.size[row])],
    ["long", "longest expression first", by((row, split) => split.length[row], -1)],
  ];

  /**
   * Return the rows that match the filters, in order. `wanted` has the filters' values: "" matches any value, a kind or
   * category of null matches rows without one, and causeOf is the run that must have the cause (null for any). `runs`
   * are the answers of the shown runs.
   */
  report.selectRows = (split, runs, wanted) => {
    const fits = report.answerChoices(runs).find(([value]) => value === wanted.answer)?.[2] ?? (() => true);
    const matches = report.matchChoices(runs).find(([value]) => value === wanted.match)?.[2] ?? (() => true);
    const words = wanted.words.trim().toLowerCase();
    const rows = split.text.map((_, row) => row).filter((row) => (
      fits(row)
      && matches(row)
      && (wanted.cause === "" || runs.some((answers) => answers.cause[row] === wanted.cause && [null, answers.run].includes(wanted.causeOf)))
      && (wanted.kind === "" || split.kind[row] === wanted.kind)
      && (wanted.category === "" || split.referent_category[row] === wanted.category)
      && (words === "" || split.text[row].toLowerCase().includes(words) || split.expression_id[row].toLowerCase() === words)
    ));
    const orders = report.orders(runs);
    const [, , sort] = orders.find(([value]) => value === wanted.order) ?? orders[0];
    return sort(rows, split, runs);
  };
})();
