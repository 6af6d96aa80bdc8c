async function start() {
  setTheme(initialTheme());
  const index = JSON.parse(await unpack("data-index"));
  byId("tables").append(...index.tables.map(tableCard));
  await loadLibrary();
  for (const section of document.querySelectorAll("[data-figure]")) fillFigure(section, index);
  byId("theme").addEventListener("click", changeTheme);
  document.documentElement.dataset.ready = "yes";
}

/** A card with a table; the columns in `numbers` stand to the right. */
function tableCard({ title, heads, rows, numbers }, at) {
  const cells = (row) => row.map((text, column) => (numbers.includes(column) ? { number: text } : text));
  const heading = make("h2", { id: "table-" + at }, title);
  const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: title },
    make("table", { className: "stacked" }, ...table(cells(heads), rows.map(cells))));
  const card = make("section", { className: "card" }, heading, scroll);
  card.setAttribute("aria-labelledby", heading.id);
  return card;
}

function changeTheme() {
  const name = theme() === "dark" ? "light" : "dark";
  setTheme(name);
  remember(THEME_KEY, name);
  redrawAll();
}

if (typeof DecompressionStream === "undefined") say("This page needs a browser of 2023 or later.");
else start().catch((error) => { say("This page cannot be drawn: " + error.message); throw error; });
