"use strict";

(() => {
  /**
   * Make an element. Text is set as text, never as markup, so a dataset cannot inject any.
   * `options`: text, class, and attributes by name (true sets one without a value; null and false set none).
   */
  report.element = (tag, options = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") made.textContent = value;
      else if (name === "class") made.className = value;
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  };

  /** Make an element with text of a dataset, which may run in either direction. */
  report.userText = (tag, text, options = {}) => report.element(tag, { ...options, text, dir: "auto" });

  report.percent = (fraction, digits = 1) => `${(100 * fraction).toFixed(digits)}%`;
  report.count = (number) => number.toLocaleString("en");

  const plain = (name) => name.replaceAll("_", " ");
  report.causeName = plain;

  /** Make a coloured label, "right" or the cause of a wrong answer; the sign tells the two apart without colour. */
  report.verdict = (cause) => {
    if (cause === null) return report.element("span", { class: "verdict", text: "no answer" });
    const meaning = report.index.causes.find((known) => known.name === cause)?.meaning;
    const sign = cause === "right" ? "✓" : "✗";
    return report.element(
      "span", { class: "verdict", "data-cause": cause, title: meaning }, `${sign} ${plain(cause)}`,
    );
  };

  /** Make a bar with the shares of right answers and of every cause; `counts` has pairs [name, count]. */
  report.shares = (counts) => {
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    const bar = report.element("span", { class: "shares", "aria-hidden": "true" });
    for (const [name, count] of counts) {
      if (!count) continue;
      const share = report.element("span", { "data-cause": name, title: `${plain(name)}: ${report.count(count)}` });
      share.style.flexGrow = count / total;
      bar.append(share);
    }
    return bar;
  };
})();
