"use strict";
// Two conveniences; without them the page has the same numbers. Texts of the run are only ever read, and written as text.

function numberOf(text) {
  const found = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "").match(/^-?\d+(\.\d+)?(e[+-]?\d+)?/i);
  return found ? Number(found[0]) : NaN;
}

function sortBy(table, column, ascending) {
  const rows = [...table.tBodies[0].rows];
  const texts = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
  const numeric = rows.some((row) => !Number.isNaN(numberOf(texts.get(row))));
  rows.sort((one, other) => {
    const [a, b] = [texts.get(one), texts.get(other)];
    if (!numeric) return ascending ? a.localeCompare(b) : b.localeCompare(a);
    const [x, y] = [numberOf(a), numberOf(b)];
    // A cell without a number comes last in both directions.
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return ascending ? x - y : y - x;
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending);
    });
  });
}

for (const slider of document.querySelectorAll(".slider")) {
  const points = JSON.parse(slider.dataset.points);
  const positives = Number(slider.dataset.positives), negatives = Number(slider.dataset.negatives);
  const input = slider.querySelector("input"), values = [...slider.querySelectorAll("dd")], sentence = slider.querySelector("p");
  const share = (part, all) => (all ? (part / all).toFixed(3) : "undefined");
  const update = () => {
    const [threshold, hits, alarms] = points[Number(input.value)];
    const missed = positives - hits, right = negatives - alarms;
    const shown = [String(threshold), share(hits, positives), share(right, negatives), share(hits, hits + alarms), share(right, right + missed)];
    values.forEach((value, place) => { value.textContent = shown[place]; });
    sentence.textContent = `${hits} of ${positives} positive rows are detected, ${missed} missed; ${alarms} of ${negatives} negative rows are false alarms.`;
    input.setAttribute("aria-valuetext", `threshold ${shown[0]}, sensitivity ${shown[1]}, specificity ${shown[2]}`);
  };
  input.addEventListener("input", update);
  slider.hidden = false;
  update();
}
