const page = { index: null, details: null, chosen: 0, plane: null };

async function start() {
  setTheme(initialTheme());
  page.index = JSON.parse(await unpack("data-index"));
  fillTop(page.index);
  const { index } = page;
  if (!index.rows.id.length) {
    document.querySelector("main").replaceChildren(make("p", { className: "notice" }, "No individual has been written yet."));
    ready();
    return;
  }
  await loadLibrary();
  page.chosen = startingChoice(index);
  await drawPareto();
  performance.mark("first-plot");
  byId("pareto").on("plotly_click", clicked);
  fillFront();
  fillAxes();
  for (const section of document.querySelectorAll("[data-figure]")) fillFigure(section, index);
  fillLegend();
  page.details = JSON.parse(await unpack("data-details"));
  showDetail(page);
  whenNear(byId("lineage"), drawLineage);
  listen();
  ready();
}

function ready() {
  byId("theme").addEventListener("click", changeTheme);
  follow();
  document.documentElement.dataset.ready = "yes";
}

function startingChoice({ rows, objectives }) {
  const named = rows.id.indexOf(decodeURIComponent(location.hash.slice(1)));
  if (named >= 0) return named;
  const { name, direction } = objectives[0];
  const sign = direction === "max" ? 1 : -1;
  const children = rows.front.filter((at) => at !== 0);
  return children.reduce((best, at) => (sign * rows.scores[name][at] > sign * rows.scores[name][best] ? at : best), children[0] ?? 0);
}

function fillTop({ run, rows, objectives, figures }) {
  byId("run-name").textContent = run.name;
  byId("verdict").textContent = run.verdict;
  byId("pareto-title").textContent = run.front;
  const settings = Object.entries(run.settings).filter(([, value]) => value !== "").map(([name, value]) => `${name} ${value}`);
  byId("run-line").textContent = [`seed model ${run.seed}`, ...settings].join(" · ");
  const children = rows.id.length - 1;
  const scored = rows.state.filter((state, at) => state === "scored" && at).length;
  const tile = (title, value, small) => make("div", {}, make("dt", {}, title), make("dd", {}, value, make("small", {}, small)));
  const tiles = objectives.map((objective) => {
    const values = rows.scores[objective.name];
    const all = rows.front.map((at) => values[at]);
    const best = objective.direction === "max" ? Math.max(...all) : Math.min(...all);
    return tile(`best ${objective.written}`, all.length ? written(objective, best) : "–", `baseline ${measured(objective, values[0], rows.errors[objective.name][0])}`);
  });
  byId("figures-line").append(
    ...tiles,
    tile("on the front", String(rows.front.length), `of ${scored + (rows.state[0] === "scored" ? 1 : 0)} scored`),
    tile("children", children.toLocaleString("en"), `${children ? Math.round((100 * scored) / children) : 0} % scored, ${run.generations} generations`),
    tile("output tokens", run.tokens[1].toLocaleString("en"), `${run.tokens[0].toLocaleString("en")} input`));
  byId("pareto-caption").textContent = figures.pareto.summary;
  if (run.stopped) byId("run-line").append(make("br"), run.stopped);
}

function fillFront() {
  const { rows, objectives } = page.index;
  const sign = objectives[0].direction === "max" ? -1 : 1;
  page.front = [...rows.front].sort((a, b) => sign * (rows.scores[objectives[0].name][a] - rows.scores[objectives[0].name][b]));
  const heads = ["id", ...objectives.map((objective) => ({ number: objective.written }))];
  const tested = rows.front.some((at) => rows.test[String(at)]);
  if (tested) heads.push(...objectives.map((objective) => ({ number: objective.written + ", test" })));
  heads.push("made by");
  const cellOf = (objective, at) => {
    const values = rows.scores[objective.name];
    const told = at ? change(objective, values[at], values[0], rows.toSeed[objective.name][at]) : "";
    return { number: make("span", {}, measured(objective, values[at], rows.errors[objective.name][at]), make("small", {}, told)) };
  };
  const madeBy = (at) => rows.steps[at].map(([operator, address]) => `${operator} of ${address}`).join(", ");
  const lines = page.front.map((at) => [chooser(rows.id[at]), ...objectives.map((objective) => cellOf(objective, at)),
    ...(tested ? objectives.map((objective) => ({ number: testFigure(rows, objective, at) })) : []), madeBy(at)]);
  byId("front").replaceChildren(...table(heads, lines));
  markFront();
}

function markFront() {
  [...byId("front").tBodies[0].rows].forEach((row, at) => {
    row.classList.toggle("chosen", page.front[at] === page.chosen);
    if (page.front[at] === page.chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  });
}

function fillAxes() {
  const first = firstPlane(page.index);
  const measures = [...page.index.objectives, ...page.index.besides];
  const across = first[0] ? measures : [GENERATION, ...measures];
  if (across.length < 3) return;
  byId("axes").hidden = false;
  for (const [id, choices, begun] of [["axis-x", across, first[0]], ["axis-y", measures, first[1]]]) {
    const options = choices.map(({ name }) => make("option", { value: name, selected: name === begun }, name || "generation"));
    byId(id).append(...options);
    byId(id).addEventListener("change", () => {
      page.plane = [byId("axis-x").value, byId("axis-y").value];
      drawPareto();
    });
  }
}

function fillLegend() {
  const traces = page.index.figures["success-operator"].spec.data;
  const swatches = () => traces.map((trace) => {
    const { color } = coloured(trace.marker, page.index.dark);
    const box = make("i");
    box.style.background = color;
    return make("span", { className: "key" }, box, trace.name);
  });
  byId("legend").replaceChildren(...swatches(), "The number beside a name counts its children.");
}

async function drawPareto() {
  const element = byId("pareto");
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", page.index.run.front + ". " + page.index.figures.pareto.summary + " The table beside it holds the same.");
  await draw(element, paretoSpec(page.index, page.plane, page.chosen), page.index);
}

async function drawLineage() {
  const whole = byId("lineage-of").value === "front";
  const spec = whole ? page.index.figures.lineage.spec : lineageSpec(page.index, page.chosen);
  const words = whole ? page.index.figures.lineage.summary : lineageWords(page.index, page.chosen);
  const element = byId("lineage");
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", "Lineage. " + words);
  await draw(element, spec, page.index);
  byId("lineage-caption").textContent = words;
  if (!page.lineageDrawn) element.on("plotly_click", clicked);
  page.lineageDrawn = true;
}

function clicked(event) {
  const at = event.points[0].customdata;
  if (typeof at === "number") choose(at);
}

function choose(at) {
  page.chosen = at;
  const id = page.index.rows.id[at];
  history.replaceState(null, "", "#" + encodeURIComponent(id));
  showDetail(page);
  markFront();
  drawPareto();
  if (page.lineageDrawn) drawLineage();
  const box = byId("detail").getBoundingClientRect();
  if (box.top > innerHeight - 160 || box.bottom < 80) byId("detail").scrollIntoView();
  say(`${id} is shown`);
  setTimeout(() => say(""), 1500);
}

function chooseById(id) {
  const at = page.index.rows.id.indexOf(id);
  if (at >= 0) choose(at);
  else say(`There is no individual ${id}; ids are like ${page.index.rows.id[1] ?? "seed"}.`);
}

function stepAlongFront(by) {
  const { front } = page;
  if (!front.length) return;
  const at = front.indexOf(page.chosen);
  choose(front[(at < 0 ? 0 : at + by + front.length) % front.length]);
}

function changeTheme() {
  const name = theme() === "dark" ? "light" : "dark";
  setTheme(name);
  remember(THEME_KEY, name);
  if (drawn.size) fillLegend();
  redrawAll();
}

function listen() {
  byId("go").addEventListener("submit", (event) => {
    event.preventDefault();
    chooseById(byId("go-id").value.trim());
  });
  byId("previous").addEventListener("click", () => stepAlongFront(-1));
  byId("next").addEventListener("click", () => stepAlongFront(1));
  byId("lineage-of").addEventListener("change", drawLineage);
  document.addEventListener("ge-choose", (event) => chooseById(event.detail));
  addEventListener("hashchange", () => chooseById(decodeURIComponent(location.hash.slice(1))));
}

/** In `--follow`, load the page again when the run has moved on, not more often than every ten seconds and
 * not while the reader is typing or marking text. */
function follow() {
  const stamp = document.querySelector("meta[name=ge-stamp]").content;
  if (!stamp) return;
  const place = sessionStorage.getItem("ge-report-scroll");
  if (place) scrollTo({ top: Number(place), behavior: "instant" });
  const timer = setInterval(async () => {
    try {
      const answer = await fetch("stamp", { cache: "no-store" });
      const busy = performance.now() < 10_000 || document.activeElement.matches("input") || String(getSelection());
      if ((await answer.text()) === stamp || busy) return;
      sessionStorage.setItem("ge-report-scroll", String(scrollY));
      location.reload();
    } catch {
      clearInterval(timer);
      say("The server of this page has ended.");
    }
  }, 2000);
}

if (typeof DecompressionStream === "undefined") say("This report needs a browser of 2023 or later.");
else start().catch((error) => { say("This report cannot be drawn: " + error.message); throw error; });
