"use strict";

(async () => {
  const main = document.getElementById("main");
  const parts = [...main.children];
  const links = [...document.querySelectorAll("nav a")];
  const shown = new Set();
  const show = { results: report.showResults, errors: report.showErrors, figures: report.showFigures };

  function open() {
    const wanted = parts.find(({ id }) => `#${id}` === location.hash) ?? parts[0];
    parts.forEach((part) => { part.hidden = part !== wanted; });
    links.forEach((link) => link.setAttribute("aria-current", link.hash === `#${wanted.id}` ? "page" : "false"));
    scrollTo(0, 0); // instead of to the part named in the address
    if (shown.has(wanted.id)) return;
    shown.add(wanted.id);
    show[wanted.id]?.(wanted.querySelector(".content"));
  }

  try {
    report.index = await report.load("index");
    const { runs, splits, made, version } = report.index;
    const datasets = [...new Set(splits.map(({ dataset }) => dataset))].join(", ");
    const many = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
    document.getElementById("about").textContent = `${many(runs.length, "run")} on ${datasets} · ${many(splits.length, "split")} · made ${made} with aligncat ${version}`;
    document.title = `${datasets} · aligncat report`;
    addEventListener("hashchange", open);
    open();
    await report.startGallery();
    document.body.dataset.ready = "";
  } catch (error) {
    main.prepend(report.element("p", { class: "notice", role: "alert", text: error.message }));
    throw error;
  }
})();
