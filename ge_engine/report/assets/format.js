const STATES = { scored: "trained and scored", rejected: "rejected", failed: "failed in training", waiting: "not scored yet" };

/** A value of an objective as a person reads it; `short` where there is little room. */
function written(objective, value) {
  if (value === null || value === undefined) return "–";
  if (objective.share) return (100 * value).toFixed(2) + " %";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 1e6) return value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 });
  return value && Math.abs(value) < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
}

/** Change from `old` to `value`: percentage points for shares, per cent otherwise; and whether it is better. */
function change(objective, value, old) {
  if (value === null || old === null || value === undefined || old === undefined) return { text: "", better: 0 };
  const gain = (value - old) * (objective.direction === "max" ? 1 : -1);
  if (!gain) return { text: "same", better: 0 };
  const mark = gain > 0 ? " ✓" : gain < 0 ? " ✗" : "";
  const signed = (number, digits) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(digits);
  if (objective.share) return { text: signed(100 * (value - old), 2) + " pp" + mark, better: Math.sign(gain) };
  if (!old) return { text: "", better: Math.sign(gain) };
  return { text: signed(100 * (value / old - 1), 1) + " %" + mark, better: Math.sign(gain) };
}

function stepText([operator, address, intent, persona, note]) {
  const about = [intent, persona && persona !== "none" ? "as " + persona : "", note].filter(Boolean).join(", ");
  return operator + (address ? " of " + address : "") + (about ? " (" + about + ")" : "");
}

function table(heads, rows) {
  const cell = (tag, value) => {
    const number = typeof value === "object" && value && value.number !== undefined;
    const inner = number ? value.number : value;
    return make(tag, number ? { className: "number" } : tag === "td" && String(value).length > 40 ? { className: "wrap" } : {}, inner);
  };
  return [
    make("thead", {}, make("tr", {}, ...heads.map((head) => { const th = cell("th", head); th.scope = "col"; return th; }))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value) => cell("td", value))))),
  ];
}
