const STATES = { scored: "trained and scored", rejected: "rejected", failed: "failed in training", waiting: "not scored yet" };

/** A value of an objective as a person reads it; `short` where there is little room. */
function written(objective, value) {
  if (value === null || value === undefined) return "–";
  if (objective.share) return (100 * value).toFixed(2) + " %";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 1e6) return value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 });
  return value && Math.abs(value) < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
}

/** A value with its standard error, where that is known. */
function measured(objective, value, error) {
  if (!error || value === null || value === undefined) return written(objective, value);
  if (objective.share) return (100 * value).toFixed(2) + " ± " + (100 * error).toFixed(2) + " %";
  return written(objective, value) + " ± " + String(Number(error.toPrecision(2)));
}

/** An individual's figure on the test split. */
function testFigure(rows, objective, at) {
  return measured(objective, rows.test[String(at)]?.[objective.name], rows.testErrors[String(at)]?.[objective.name]);
}

const MARKS = { 1: " ✓", 0: " ≈", "-1": " ✗" };

/** Change from `old` to `value`: percentage points for shares, per cent otherwise, with the mark of `sign`: better,
 * within noise, or worse. */
function change(objective, value, old, sign) {
  if (value === null || old === null || value === undefined || old === undefined) return "";
  if (value === old) return "same";
  const mark = MARKS[sign] ?? "";
  const signed = (number, digits) => {
    const text = Math.abs(number).toFixed(digits);
    return (Number(text) ? (number < 0 ? "−" : "+") : "") + text;
  };
  if (objective.share) return signed(100 * (value - old), 2) + " pp" + mark;
  return old ? signed(100 * (value / old - 1), 1) + " %" + mark : "";
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
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, at) => headed(cell("td", value), heads[at]))))),
  ];
}

/** A cell that names its column, for screens on which columns stand below each other. */
function headed(cell, head) {
  cell.dataset.head = head?.number ?? head ?? "";
  return cell;
}
