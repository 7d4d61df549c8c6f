"use strict";
(() => {
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const text = (row, column) => row.cells[column].textContent.trim();

  // The number that a cell begins with; NaN where there is none.
  const number = (cell) => {
    const found = cell.replaceAll(",", "").replace("\u2212", "-").match(/^[<≥]?\s*([+-]?\d*\.?\d+(?:e[+-]?\d+)?)/i);
    return found ? parseFloat(found[1]) : NaN;
  };

  // Rows in the order of a column; what holds no number comes last, whichever the direction.
  const sorted = (rows, column, numeric, sign) => {
    const keyed = rows.map((row) => [row, numeric ? number(text(row, column)) : text(row, column)]);
    const words = new Intl.Collator("en", { numeric: true });
    keyed.sort(([, a], [, b]) => {
      if (!numeric) return sign * words.compare(a, b);
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
      return sign * (a - b);
    });
    return keyed.map(([row]) => row);
  };

  const sortable = (table) => {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", textContent: head.textContent });
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        body.append(...sorted([...body.rows], column, head.classList.contains("n"), up ? 1 : -1));
      });
    });
  };

  const filterable = (box, table, index) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 2) return;
    const input = make("input", { type: "search", id: `filter-${index}` });
    const label = make("label", { htmlFor: input.id, textContent: "Rows with " });
    const count = make("output", { textContent: `${rows.length} rows` });
    label.append(input);
    const tools = make("div", { className: "tools" });
    tools.append(label, count);
    box.prepend(tools);
    let contents = null;
    input.addEventListener("input", () => {
      contents ??= rows.map((row) => `${row.textContent} #${row.id}`.toLowerCase());
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, at) => {
        row.hidden = !words.every((word) => contents[at].includes(word));
        shown += !row.hidden;
      });
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
    });
  };

  document.querySelectorAll(".table").forEach((box, index) => {
    const table = box.querySelector("table");
    sortable(table);
    filterable(box, table, index);
  });

  // A cell that leads to a method's first run shows its other seeds beside it, and no other rows.
  document.querySelectorAll("td a[href^='#']").forEach((link) => {
    link.addEventListener("click", () => {
      const row = document.getElementById(link.hash.slice(1));
      const input = row.closest(".table").querySelector("input");
      if (!input) return;
      input.value = link.hash.replace(/[^/]*$/, "");
      input.dispatchEvent(new Event("input"));
    });
  });

  document.querySelectorAll("button.still").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const still = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", still);
      document.querySelectorAll(".films").forEach((films) => films.classList.toggle("standing", still));
    });
  });

  // Paper has no folds.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((fold) => (fold.open = true));
  });
  addEventListener("afterprint", () => folded.forEach((fold) => (fold.open = false)));
})();
