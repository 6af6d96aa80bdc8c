/** Plotly's button that sends a chart to a server is left out: a run's data stays where it is. */
const CONFIG = {
  plotlyServerURL: "",
  responsive: true,
  displaylogo: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "sendChartToCloud"],
  toImageButtonOptions: { format: "svg", scale: 1 },
};
const NARROW = 520;
const drawn = new Map();

/** Draw a figure into an element, in the colours of the theme; again when the theme changes. */
async function draw(element, spec, index) {
  drawn.set(element, { spec, index });
  const figure = coloured(spec, index.dark);
  figure.layout.template = index.templates[theme()];
  figure.layout.autosize = true;
  delete figure.layout.width;
  if (element.clientWidth < NARROW) fitNarrow(figure.layout);
  element.style.minHeight = figure.layout.height + "px";
  await Plotly.react(element, figure.data, figure.layout, { ...CONFIG, displayModeBar: element.id === "pareto" && element.clientWidth >= NARROW });
}

function fitNarrow(layout) {
  layout.margin = { l: 44, r: 8, t: 44, b: 44, ...layout.margin };
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
    layout[name] = { ...layout[name], tickfont: { size: 10 } };
    if (layout[name].tickformat) layout[name].nticks = 5;
    if (layout[name].title) layout[name].title = { ...layout[name].title, font: { size: 11 } };
  }
  layout.legend = { ...layout.legend, font: { size: 10 } };
}

async function redrawAll() {
  for (const [element, { spec, index }] of drawn) await draw(element, spec, index);
}

/** Fill a section that names its figure: heading, plot, caption, and the numbers as a table. */
function fillFigure(section, index) {
  const name = section.dataset.figure;
  const figure = index.figures[name];
  const id = "plot-" + name;
  const plot = make("div", { className: "plot", id, role: "img" });
  plot.setAttribute("aria-label", figure.title + ". " + figure.summary);
  plot.style.minHeight = figure.spec.layout.height + "px";
  const heading = make("h2", { id: id + "-title" }, figure.title);
  section.setAttribute("aria-labelledby", heading.id);
  section.append(heading, plot, make("p", { className: "caption" }, figure.summary));
  if (section.dataset.table) section.append(numbersOf(section.dataset.table, name, index));
  const spec = name.startsWith("success-") ? withoutLegend(figure.spec) : figure.spec;
  whenNear(plot, () => draw(plot, spec, index));
}

/** The page has one legend for the charts of what worked. */
function withoutLegend(spec) {
  const margin = { l: 56, r: 24, t: 8, b: 44 };
  return { data: spec.data, layout: { ...spec.layout, showlegend: false, margin, height: spec.layout.height - 30 } };
}

function numbersOf(title, name, index) {
  const content = name === "checks"
    ? table(["stage", "reason", { number: "children" }, "for example"],
      index.reasons.map(([stage, reason, count, example]) => [stage, reason, { number: String(count) }, example ? chooser(example) : ""]))
    : sharesTable(index.figures[name].spec.data);
  return make("details", {}, make("summary", {}, title),
    make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: title }, make("table", { className: "stacked" }, ...content)));
}

function sharesTable(traces) {
  const names = traces[0].y.map((text) => plainLabel(text).split("  ")[0]);
  const heads = ["", ...traces.map((trace) => ({ number: trace.name }))];
  const rows = names.map((name, at) => [name, ...traces.map((trace) => ({ number: String(trace.customdata[at]) }))]);
  return table(heads, rows.reverse());
}

/** A label as it was before it was escaped for Plotly. */
function plainLabel(text) {
  return text.replace(/<\/?b>/g, "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

/** Run `work` once, when the element comes near the screen. */
function whenNear(element, work) {
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      work();
    }
  }, { rootMargin: "600px" });
  observer.observe(element);
}

/** The front's plot with the chosen individual ringed, in the plane of two objectives. */
function paretoSpec(index, plane, chosen) {
  const spec = structuredClone(index.figures.pareto.spec);
  if (plane && plane.join("/") !== firstPlane(index).join("/")) setPlane(spec, index, plane);
  const place = pointOf(index, plane, chosen);
  const named = spec.data.some((trace) => trace.mode === "markers+text" && trace.customdata.includes(chosen));
  spec.data.push({
    type: "scatter", mode: named ? "markers" : "markers+text", x: place ? [place[0]] : [], y: place ? [place[1]] : [], showlegend: false,
    hoverinfo: "skip", text: [index.rows.id[chosen]], textposition: "bottom center", textfont: { color: index.colours.ink, size: 13 },
    marker: { symbol: "circle-open", size: 20, color: index.colours.ink, line: { width: 3, color: index.colours.ink } },
  });
  spec.layout.uirevision = plane ? plane.join("/") : "first";
  return spec;
}

/** The axes that the plot begins with; "" is the generation. */
function firstPlane({ objectives }) {
  return [objectives.length > 1 ? objectives[1].name : "", objectives[0].name];
}

const GENERATION = { name: "", label: "generation", title: "generation (0: generated from the seed model)", ticks: "d", hover: "d", scale: "linear" };

/** What an axis can show: the objectives, the other figures, and the generation, which is called "". */
function measureOf({ objectives, besides }, name) {
  return [...objectives, ...besides, GENERATION].find((one) => one.name === name);
}

function valueOf({ rows }, name, at) {
  return name ? rows.scores[name][at] : Math.max(rows.generation[at], 0);
}

function pointOf(index, plane, at) {
  if (index.rows.state[at] !== "scored") return null;
  return (plane ?? firstPlane(index)).map((name) => valueOf(index, name, at));
}

/** Other axes than the first ones: the border of the front belongs to those alone. */
function setPlane(spec, index, [x, y]) {
  const [across, up] = [x, y].map((name) => measureOf(index, name));
  spec.data = spec.data.filter((trace) => trace.customdata);
  for (const trace of spec.data) {
    trace.x = trace.customdata.map((at) => valueOf(index, x, at));
    trace.y = trace.customdata.map((at) => valueOf(index, y, at));
    trace.hovertemplate = `%{hovertext}<br>${up.label} %{y:${up.hover}}<br>${across.label} %{x:${across.hover}}<extra></extra>`;
  }
  spec.layout.xaxis = { title: { text: across.title }, tickformat: across.ticks, type: across.scale, ...sparse(across), ...begun(across) };
  spec.layout.yaxis = { title: { text: up.title }, tickformat: up.ticks, type: up.scale, ...sparse(up), ...begun(up) };
}

/** The range that an axis begins with. */
function begun(objective) {
  return objective.view ? { range: objective.view } : {};
}

/** On a logarithmic axis ticks at 1, 2 and 5 alone. */
function sparse(objective) {
  return objective.scale === "log" ? { dtick: "D2" } : {};
}

/** Title and format of the figures that the built-in training gives. */
const PANELS = { accuracy: ["training accuracy", ".0%"], loss: ["training loss", "~g"], lr: ["learning rate", "~g"] };

/** The training curve of an individual beside the baseline's, one panel for each figure of the curve;
 * `outcomes` are its scores by name, each with its format. */
function curveSpec(curve, seedCurve, name, outcomes, colours) {
  const varies = (key) => ["loss", "accuracy"].includes(key) || new Set(curve[key]).size > 1;
  const panels = Object.keys(curve).filter((key) => key !== "epoch" && varies(key)).slice(0, 3);
  const last = curve.epoch[curve.epoch.length - 1];
  const room = 0.04 * Math.max(last - curve.epoch[0], 10);
  const layout = { height: 90 + 150 * panels.length, showlegend: true, grid: { rows: panels.length, columns: 1, pattern: "independent", ygap: 0.28 } };
  const data = [];
  panels.forEach((panel, at) => {
    const n = at ? String(at + 1) : "";
    const line = (x, y, label, colour, width) => data.push({
      type: "scatter", mode: "lines+markers", x, y, name: label, legendgroup: label, showlegend: at === 0, line: { color: colour, width },
      marker: { size: 5 }, xaxis: "x" + n, yaxis: "y" + n, hovertemplate: `epoch %{x}: %{y:.4~g}<extra>${label}</extra>`,
    });
    if (seedCurve[panel] && name !== "seed") line(seedCurve.epoch, seedCurve[panel], "baseline", colours.other, 1.5);
    line(curve.epoch, curve[panel], name, colours.front, 2.5);
    if (Object.hasOwn(outcomes, panel)) {
      data.push({
        type: "scatter", mode: "markers", x: [last], y: [outcomes[panel].value], name: "validation", xaxis: "x" + n, yaxis: "y" + n,
        marker: { symbol: "diamond-open", size: 11, color: colours.better, line: { width: 2 } }, hovertemplate: `validation: %{y:${outcomes[panel].hover}}<extra></extra>`,
      });
    }
    const [title, ticks] = Object.hasOwn(PANELS, panel) ? PANELS[panel] : [panel, "~g"];
    layout["yaxis" + n] = { title: { text: title.replace(/[<>&]/g, "") }, tickformat: ticks, nticks: 5 };
    layout["xaxis" + n] = { title: { text: at === panels.length - 1 ? "epoch" : "" }, tickformat: "d", dtick: Math.ceil(curve.epoch.length / 10), tick0: curve.epoch[0], range: [curve.epoch[0] - room, last + room] };
  });
  layout.margin = { l: 62, r: 16, t: 40, b: 44 };
  return { data, layout };
}
