const MOST_LABELLED = 45;

/** Places of `start` and all ancestors, each below its first parent. */
function ancestorsOf(rows, start) {
  const wanted = new Set();
  const waiting = [...start];
  while (waiting.length) {
    const at = waiting.pop();
    if (!wanted.has(at)) {
      wanted.add(at);
      waiting.push(...rows.parents[at]);
    }
  }
  return rows.order.filter((at) => wanted.has(at));
}

/** The lineage figure of one individual, in the form of the front's. */
function lineageSpec(index, chosen) {
  const { rows } = index;
  const shown = ancestorsOf(rows, [chosen]);
  const level = (at) => (rows.id[at] === "seed" ? 0 : rows.generation[at] + 1);
  const row = new Map(shown.map((at, place) => [at, place]));
  const front = new Set(rows.front);
  const spec = structuredClone(index.figures.lineage.spec);
  spec.data.slice(0, 2).forEach((trace, which) => {
    trace.x = [];
    trace.y = [];
    for (const at of shown) {
      const parent = rows.parents[at][which];
      if (parent === undefined) continue;
      trace.x.push(level(parent), level(parent), level(at), null);
      trace.y.push(row.get(parent), row.get(at), row.get(at), null);
    }
  });
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  Object.assign(spec.data[2], {
    x: shown.map(level),
    y: shown.map((at) => row.get(at)),
    customdata: shown,
    mode: shown.length <= MOST_LABELLED ? "markers+text" : "markers",
    text: shown.map((at) => escape(rows.id[at] + "  " + rows.steps[at].map(([operator, address]) => operator + (address ? " of " + address : "")).join(", "))),
  });
  spec.data[2].marker = {
    ...spec.data[2].marker,
    size: shown.map((at) => (at === chosen ? 14 : front.has(at) ? 11 : 8)),
    color: shown.map((at) => (rows.id[at] === "seed" ? index.colours.seed : front.has(at) ? index.colours.front : index.colours.trained)),
    symbol: shown.map((at) => (rows.id[at] === "seed" ? "diamond" : "circle")),
  };
  const most = Math.max(...shown.map(level), 1);
  const stride = Math.max(1, Math.floor(most / 10));
  const ticks = Array.from({ length: Math.floor(most / stride) + 1 }, (_, k) => k * stride);
  spec.layout.xaxis = { ...spec.layout.xaxis, tickvals: ticks, ticktext: ticks.map((t) => (t ? "g" + (t - 1) : "seed")), range: [-0.3, most * (innerWidth < 700 ? 2.4 : 1.5) + 0.3] };
  spec.layout.yaxis = { ...spec.layout.yaxis, range: [shown.length - 0.4, -0.6] };
  spec.layout.height = Math.min(Math.max(140 + 20 * shown.length, 260), 900);
  return spec;
}

function lineageWords(index, chosen) {
  const shown = ancestorsOf(index.rows, [chosen]);
  return `${index.rows.id[chosen]} has ${shown.length - 1} ancestors. Solid: first parent; dotted: mate. Click a point to choose it.`;
}
