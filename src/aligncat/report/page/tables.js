"use strict";

(() => {
  const value = (cell) => (cell !== null && typeof cell === "object" ? cell.value : cell);

  /** Compare numbers by size and words alphabetically; unknown values come last in either direction. */
  function compare(first, second, direction) {
    if (first === null || second === null) return (first === null) - (second === null);
    if (typeof first === "number" && typeof second === "number") return direction * (first - second);
    return direction * String(first).localeCompare(String(second), "en", { numeric: true });
  }

  function show(cell) {
    if (cell === null) return "–";
    if (typeof cell !== "object") return typeof cell === "number" ? report.count(cell) : cell;
    return cell.node ?? cell.text;
  }

  /**
   * Make a table that sorts by the pressed heading. `columns` has { title, hint, numeric, fixed }. A row is a list of
   * cells, each a word, a number, null, or { value, text or node }: the value to sort by and the content to show.
   * `mark(cells, tr)` may style a row. Caption and `note` are outside the part that scrolls sideways.
   */
  report.table = ({ caption, note = null, columns, rows, mark = () => {} }) => {
    const body = report.element("tbody");
    const headings = columns.map((column, place) => {
      const heading = report.element("th", { scope: "col", class: column.numeric ? "numeric" : null, title: column.hint });
      if (column.fixed) heading.textContent = column.title;
      else {
        const button = report.element("button", { type: "button", text: column.title });
        button.onclick = () => sort(place);
        heading.append(button);
      }
      return heading;
    });
    const made = rows.map((cells) => {
      const row = report.element("tr", {}, ...cells.map((cell, place) =>
        report.element("td", { class: columns[place].numeric ? "numeric" : null, dir: columns[place].numeric ? null : "auto" }, show(cell))));
      mark(cells, row);
      return { cells, row };
    });
    body.append(...made.map(({ row }) => row));

    function sort(place) {
      const direction = headings[place].getAttribute("aria-sort") === (columns[place].numeric ? "descending" : "ascending")
        ? (columns[place].numeric ? 1 : -1) : (columns[place].numeric ? -1 : 1); // numbers start with the largest
      headings.forEach((heading) => heading.removeAttribute("aria-sort"));
      headings[place].setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const sorted = [...made].sort((a, b) => compare(value(a.cells[place]), value(b.cells[place]), direction));
      body.append(...sorted.map(({ row }) => row));
    }

    const table = report.element(
      "table", { "aria-label": caption },
      report.element("thead", {}, report.element("tr", {}, ...headings)),
      body,
    );
    return report.element(
      "div", { class: "table" },
      report.element("p", { class: "caption" }, report.userText("strong", caption), note && report.userText("span", note)),
      report.element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table),
    );
  };
})();
