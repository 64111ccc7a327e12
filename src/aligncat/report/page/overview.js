"use strict";

// The parts of the page besides the answers: results, errors by cause, figures.
(() => {
  const BY = {
    kind: "kind of expression", category: "the referent’s category",
    same_category: "other objects of the referent’s category", size: "the referent’s size", length: "length of the expression",
  };

  /** Show a line per config and split. Conditions that all lines share are above the table; the others are columns. */
  report.showResults = (content) => {
    const { results } = report.index;
    const varies = (place) => new Set(results.map((line) => line.words[place][1])).size > 1;
    const own = results[0].words.map((_, place) => place).filter((place) => varies(place) || ["Split", "Config"].includes(results[0].words[place][0]));
    const shared = results[0].words.filter((_, place) => !own.includes(place)).map(([name, word]) => `${name}: ${word}`);
    const columns = [
      ...own.map((place) => ({ title: results[0].words[place][0] })),
      ...["Expressions", ...results[0].metrics.map(([name]) => name)].map((title) => ({ title, numeric: true })),
    ];
    const rows = results.map((line) => [
      ...own.map((place) => line.words[place][1]),
      line.expressions,
      ...line.metrics.map(([, mean, deviation]) => metric(mean, deviation)),
    ]);
    content.append(report.table({ caption: "Every run and split", note: shared.join(" · "), columns, rows }));
    if (report.index.published.length) content.append(published(report.index.published));
  };

  /** Make a table of the values published for the same splits, separate from ours. */
  function published(lines) {
    const columns = [
      { title: "Split" }, { title: "System" }, { title: "REC", numeric: true }, { title: "RES mIoU", numeric: true }, { title: "Proposals" },
      { title: "Published" },
    ];
    const asPrinted = (value) => (value === null ? null : { value, text: value.toFixed(2) });
    const rows = lines.map(({ dataset, split, split_by: by, system, proposals, source, rec, res }) => [
      `${dataset} ${split} (${by})`, system, asPrinted(rec), asPrinted(res), proposals, source,
    ]);
    return report.table({ caption: "Published results", note: "of the same splits; none was measured here", columns, rows });
  }

  function metric(mean, deviation) {
    if (mean === null) return null;
    return { value: mean, text: mean.toFixed(1) + (deviation === null ? "" : `±${deviation.toFixed(1)}`) };
  }

  report.showErrors = (content) => {
    const { causes } = report.index;
    content.append(report.element("dl", { class: "causes" }, ...causes.flatMap(({ name, meaning }) => [
      report.element("dt", {}, report.verdict(name)), report.element("dd", { text: meaning }),
    ])));
    const choice = report.element("select", { "aria-label": "Split" }, ...report.index.splits.map(({ name }, number) =>
      report.element("option", { value: number, text: name })));
    const tables = report.element("div");
    const show = () => tables.replaceChildren(...errorTables(report.index.splits[Number(choice.value)]));
    choice.onchange = show;
    if (report.index.splits.length > 1) content.append(report.element("label", { class: "choice" }, "Split ", choice));
    content.append(tables);
    show();
  };

  /** Make one table for each way of slicing the expressions; the runs of a slice are in adjacent rows. */
  function errorTables(split) {
    const slicings = [...new Set(split.runs.flatMap((run) => run.tables.map(({ by }) => by)))];
    return slicings.map((by) => {
      const rows = split.runs.flatMap((run) => {
        const table = run.tables.find((sliced) => sliced.by === by);
        return (table?.rows ?? []).map((row) => ({ run: report.index.runs[run.run].name, ...row }));
      });
      const slices = [...new Set(rows.map((row) => row.slice))];
      rows.sort((a, b) => slices.indexOf(a.slice) - slices.indexOf(b.slice));
      return errorTable(by === "all" ? "All expressions" : `By ${BY[by] ?? by}`, rows);
    });
  }

  function errorTable(caption, rows) {
    const causes = report.index.causes.filter((_, place) => rows.some((row) => row.causes[place]));
    const places = causes.map((cause) => report.index.causes.indexOf(cause));
    const columns = [
      { title: "Slice" }, { title: "Run" }, { title: "Expressions", numeric: true }, { title: "REC", numeric: true },
      { title: "Shares", fixed: true },
      ...causes.map(({ name, meaning }) => ({ title: report.causeName(name), hint: meaning, numeric: true })),
    ];
    return report.table({ caption, columns, rows: rows.map((row) => {
      const counts = places.map((place) => row.causes[place]);
      const right = row.expressions - counts.reduce((sum, count) => sum + count, 0);
      const shares = report.shares([["right", right], ...causes.map(({ name }, place) => [name, counts[place]])]);
      return [
        row.slice, row.run, row.expressions, { value: row.rec, text: row.rec === null ? "–" : report.percent(row.rec) },
        { value: row.rec, node: shares }, ...counts,
      ];
    }) });
  }

  report.showFigures = (content) => {
    const { figures } = report.index;
    const address = (file) => `figures/${encodeURIComponent(file)}`;
    if (!figures.length) content.append(report.element("p", { class: "notice", text: "No figures were drawn for this report." }));
    content.append(...figures.map(({ file, title, caption }) => report.element(
      "figure", {},
      report.userText("h3", title),
      report.element("a", { href: address(file) }, report.element("img", { src: address(file), alt: title, loading: "lazy" })),
      report.userText("figcaption", caption),
    )));
  };
})();
