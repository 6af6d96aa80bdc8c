/** Everything about the chosen individual. `page` is {index, details, chosen, choose}. */
function showDetail(page) {
  const { index, chosen } = page;
  const { rows } = index;
  const [stage, reason, parts, curve, exchanges, feedback] = page.details.rows[chosen];
  const title = byId("detail-title");
  title.replaceChildren(rows.id[chosen],
    make("span", { className: "badge" }, STATES[rows.state[chosen]]),
    rows.front.includes(chosen) ? make("span", { className: "badge front" }, "on the front") : "");
  const body = byId("detail-body");
  body.replaceChildren(originOf(page));
  if (reason) body.append(make("div", { className: "reason" }, make("strong", {}, stage + ": "), reason));
  const facts = make("div", { className: "facts" });
  const left = make("div"), right = make("div");
  facts.append(left, right);
  if (rows.state[chosen] === "scored") left.append(make("h3", {}, "Objectives"), scoresOf(page));
  if (curve.epoch && curve.epoch.length) left.append(make("h3", {}, "Training"), make("div", { className: "plot", id: "curve" }));
  if (feedback) left.append(make("h3", {}, "Feedback of the evaluator"), make("pre", { tabIndex: 0 }, feedback));
  if (!left.firstChild) facts.classList.add("single");
  body.append(facts);
  right.append(make("h3", {}, "What changed"));
  right.append(parts ? diffChooser(page, parts) : make("p", { className: "caption" }, "No code came out of its reply."));
  if (exchanges.length) right.append(make("h3", {}, "Prompts and replies"), ...exchanges.map((one, at) => exchangeOf(page, one, at, exchanges.length)));
  if (parts) body.append(make("p", { className: "caption" }, "Write it as a file, with RUN the folder of this run: ",
    make("code", {}, `ge export RUN:${rows.id[chosen]} -o better.py`)));
  drawCurve(page, curve);
}

function drawCurve(page, curve) {
  const element = byId("curve");
  if (!element) return;
  const { rows, objectives } = page.index;
  const seedCurve = page.details.rows[0][3];
  const scored = objectives.filter(({ name }) => rows.scores[name][page.chosen] !== null);
  const outcomes = Object.fromEntries(scored.map(({ name, hover }) => [name, { value: rows.scores[name][page.chosen], hover }]));
  const spec = curveSpec(curve, seedCurve, rows.id[page.chosen], outcomes, page.index.colours);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `Training curve of ${rows.id[page.chosen]} over ${curve.epoch.length} epochs`);
  draw(element, spec, page.index);
}

/** A button that chooses an individual by its id. */
function chooser(id) {
  return make("button", { type: "button", className: "link", on: { click: () => document.dispatchEvent(new CustomEvent("ge-choose", { detail: id })) } }, id);
}

function originOf({ index, chosen }) {
  const { rows } = index;
  if (!rows.parents[chosen].length) return make("p", {}, chosen === 0 ? "The file that the run began with." : "");
  const parents = rows.parents[chosen].flatMap((at, n) => [n ? " and " : "", chooser(rows.id[at])]);
  return make("p", { className: "wrap" }, rows.steps[chosen].map(stepText).join("; then ") + ", from ", ...parents);
}

function scoresOf({ index, chosen }) {
  const { rows, objectives, besides } = index;
  const parent = rows.parents[chosen][0];
  const test = rows.test[String(chosen)];
  const withParent = parent !== undefined && parent !== 0;
  const heads = ["", { number: "validation" }, { number: "to the baseline" }];
  if (withParent) heads.push({ number: "to " + rows.id[parent] });
  if (test) heads.push({ number: "test" });
  const lines = objectives.map((objective) => {
    const values = rows.scores[objective.name];
    const signs = [rows.toSeed, rows.toParent].map((signs) => signs[objective.name][chosen]);
    const figure = measured(objective, values[chosen], rows.errors[objective.name][chosen]);
    const cells = [objective.written, { number: figure }, { number: change(objective, values[chosen], values[0], signs[0]) }];
    if (withParent) cells.push({ number: change(objective, values[chosen], values[parent], signs[1]) });
    if (test) cells.push({ number: testFigure(rows, objective, chosen) });
    return cells;
  });
  for (const figure of besides.filter(({ name }) => rows.scores[name][chosen] !== null)) {
    const values = rows.scores[figure.name];
    const cells = [figure.written, { number: written(figure, values[chosen]) }, { number: change(figure, values[chosen], values[0]) }];
    if (withParent) cells.push({ number: change(figure, values[chosen], values[parent]) });
    lines.push(test ? [...cells, ""] : cells);
  }
  const further = rows.further[String(chosen)];
  return make("div", { className: "scroll" }, make("table", { className: "stacked" }, ...table(heads, lines)),
    further ? make("p", { className: "wrap" }, "With further random seeds: " + further + ".") : "",
    make("p", { className: "caption" }, "± standard error; ✓ better, ✗ worse, ≈ within noise; pp: percentage points"));
}

function diffChooser(page, parts) {
  const { rows } = page.index;
  const sides = [...new Set([...rows.parents[page.chosen], 0])].filter((at) => at !== page.chosen && page.details.rows[at][2]);
  if (!sides.length) return make("p", { className: "caption" }, "The seed model is the baseline: the others are compared with it.");
  const shown = make("div", { ariaLive: "polite" });
  const show = (at) => shown.replaceChildren(...diffOf(page.details, page.details.rows[at][2], parts));
  const radios = sides.map((at, n) => make("label", {}, make("input", {
    type: "radio", name: "against", value: rows.id[at], checked: n === 0, on: { change: () => show(at) },
  }), " " + (at === 0 ? "the seed model" : (n ? "mate " : "parent ") + rows.id[at])));
  show(sides[0]);
  return make("div", { id: "diff" }, make("fieldset", {}, make("legend", {}, "Compared with"), ...radios), shown);
}

function diffOf(details, before, after) {
  const changes = changedBlocks(before, after, details.seed);
  if (!changes.length) return [make("p", { className: "caption" }, "No difference.")];
  return changes.flatMap((change) => {
    const name = make("p", { className: "block-name" }, change.name + " ", make("small", {}, change.kind));
    return change.before === undefined ? [name] : [name, blockDiff(details.sources, change)];
  });
}

function blockDiff(sources, { name, before, after }) {
  const old = before === null ? [] : sources.documents[before];
  const now = after === null ? [] : sources.documents[after];
  const lineNumber = (entry) => sources.entries[entry][0];
  const rows = compareLines(old.map(lineNumber), now.map(lineNumber));
  const entryOf = ([sign, i, j]) => (sign === "-" ? old[i] : now[j]);
  const textOf = (row) => sources.lines[lineNumber(entryOf(row))];
  const body = make("tbody");
  for (const hunk of hunksOf(rows)) {
    const texts = (hunk.some((row) => row[2] >= 0) ? now : old).map((entry) => sources.lines[lineNumber(entry)]);
    const first = hunk.find((row) => row[0] !== " ");
    const at = Math.max(0, first[2] >= 0 ? first[2] : Math.min(first[1], texts.length - 1));
    body.append(make("tr", { className: "gap" }, make("td", { colSpan: 4 }, "⋯ " + holderOf(texts, at, name))));
    const marks = markedSpans(hunk, textOf);
    hunk.forEach((row, k) => body.append(diffRow(row, sources, entryOf(row), marks.get(k))));
  }
  return make("div", { className: "diff", tabIndex: 0, role: "region", ariaLabel: "Changes of " + name }, make("table", {}, body));
}

function diffRow([sign, i, j], sources, entry, mark) {
  const names = { "+": ["plus", "added"], "-": ["minus", "removed"], " ": ["same", ""] };
  const [className, spoken] = names[sign];
  return make("tr", { className },
    make("td", { className: "line" }, i >= 0 ? String(i + 1) : ""), make("td", { className: "line" }, j >= 0 ? String(j + 1) : ""),
    make("td", { className: "sign" }, sign, spoken ? make("span", { className: "unseen" }, spoken) : ""),
    make("td", {}, ...colouredLine(sources, entry, mark)));
}

/** A line as spans in Pygments' colours, with the characters of `mark` marked. */
function colouredLine(sources, entry, mark) {
  const [line, ...runs] = sources.entries[entry];
  const text = sources.lines[line];
  const nodes = [];
  const put = (from, to, colour) => {
    for (const [a, b, inside] of cutAt(from, to, mark)) {
      const piece = colour ? make("span", { className: "t" + colour }, text.slice(a, b)) : text.slice(a, b);
      nodes.push(inside ? make("mark", {}, piece) : piece);
    }
  };
  let at = 0;
  for (let k = 0; k < runs.length; k += 2) {
    put(at, at + runs[k + 1], runs[k]);
    at += runs[k + 1];
  }
  put(at, text.length, 0);
  return nodes;
}

function cutAt(from, to, mark) {
  const cuts = mark ? [from, ...mark.filter((edge) => edge > from && edge < to), to] : [from, to];
  const pieces = [];
  for (let k = 0; k + 1 < cuts.length; k++) {
    if (cuts[k] < cuts[k + 1]) pieces.push([cuts[k], cuts[k + 1], Boolean(mark) && cuts[k] >= mark[0] && cuts[k + 1] <= mark[1]]);
  }
  return pieces;
}

function exchangeOf({ details }, one, at, count) {
  const [system, user, reply, intent, address, model, finish, error, temperature, asked, answered, seconds] = one;
  const text = (document) => details.sources.documents[document].map((entry) => details.sources.lines[details.sources.entries[entry][0]]).join("\n");
  const block = (content) => make("pre", { tabIndex: 0 }, content);
  const number = count > 1 ? ` ${at + 1}` : "";
  const about = [intent, address && "of " + address, `temperature ${temperature}`, `${asked} tokens`].filter(Boolean).join(", ");
  return make("div", {},
    make("details", {}, make("summary", {}, `Prompt${number}: ${about}`), block(text(system)), block(text(user))),
    make("details", { open: at === count - 1, className: "reply" },
      make("summary", {}, `Reply${number}: ${model}, ${answered} tokens in ${seconds} s, ${finish}`), block(text(reply) || error || "(empty)")));
}
