const CONTEXT = 3;
const MOST_CELLS = 4_000_000;

/** Longest common subsequence of two lists of numbers -> [sign, index in a, index in b] for each line. */
function compareLines(a, b) {
  let top = 0;
  while (top < a.length && top < b.length && a[top] === b[top]) top++;
  let bottom = 0;
  while (bottom < a.length - top && bottom < b.length - top && a[a.length - 1 - bottom] === b[b.length - 1 - bottom]) bottom++;
  const rows = [];
  for (let i = 0; i < top; i++) rows.push([" ", i, i]);
  rows.push(...compareMiddle(a.slice(top, a.length - bottom), b.slice(top, b.length - bottom), top));
  for (let i = bottom; i > 0; i--) rows.push([" ", a.length - i, b.length - i]);
  return rows;
}

function compareMiddle(a, b, offset) {
  const rows = [];
  const width = b.length + 1;
  const lengths = a.length * b.length > MOST_CELLS ? null : new Uint16Array((a.length + 1) * width);
  if (lengths) {
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        lengths[i * width + j] = a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1] + 1
          : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
      }
    }
  }
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (lengths && i < a.length && j < b.length && a[i] === b[j]) rows.push([" ", offset + i++, offset + j++]);
    else if (i < a.length && (j >= b.length || !lengths || lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      rows.push(["-", offset + i++, -1]);
    } else rows.push(["+", -1, offset + j++]);
  }
  return rows;
}

/** Stretches of rows around changes, each with the rows that it shows. */
function hunksOf(rows) {
  const hunks = [];
  rows.forEach((row, at) => {
    if (row[0] === " ") return;
    const from = Math.max(0, at - CONTEXT), to = Math.min(rows.length, at + CONTEXT + 1);
    const last = hunks[hunks.length - 1];
    if (last && from <= last.to) last.to = to;
    else hunks.push({ from, to });
  });
  return hunks.map(({ from, to }) => rows.slice(from, to));
}

/** What changed from genome `a` to `b`, block by block: {name, kind, before, after} with codes or null. */
function changedBlocks(a, b, seed) {
  const changes = [];
  const importsOf = (parts) => parts[2];
  for (const line of importsOf(b)) if (!importsOf(a).includes(line)) changes.push({ name: line, kind: "import added" });
  for (const line of importsOf(a)) if (!importsOf(b).includes(line)) changes.push({ name: line, kind: "import removed" });
  const helpers = (parts) => new Map(parts[1].map(([, name, code]) => [name, code]));
  const ours = helpers(a), theirs = helpers(b);
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const before = ours.get(name) ?? null, after = theirs.get(name) ?? null;
    const kind = before === null ? "helper added" : after === null ? "helper removed" : "helper changed";
    if (before !== after) changes.push({ name, kind, before, after });
  }
  const old = new Map(a[0]), now = new Map(b[0]);
  seed.forEach(([name, code], at) => {
    const before = old.get(at) ?? code, after = now.get(at) ?? code;
    if (before !== after) changes.push({ name: name || "module level", kind: "changed", before, after });
  });
  return changes;
}

/** The definition that holds a line: "Net.forward". */
function holderOf(lines, at, block) {
  let indent = lines[at].search(/\S/);
  if (indent < 0) indent = Infinity;
  const path = [];
  for (let i = at; i >= 0 && indent > 0; i--) {
    const found = lines[i].match(/^(\s*)(?:async\s+def|def|class)\s+(\w+)/);
    if (found && (found[1].length < indent || i === at)) {
      path.unshift(found[2]);
      indent = found[1].length;
    }
  }
  return path.length ? path.join(".") : block;
}

/** First and last place where two strings differ, as [start, end in a, end in b]. */
function differingSpan(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [start, a.length - end, b.length - end];
}

/** Of each removed line and the added line that replaces it, the characters that changed, where less than
 * half of the line did. */
function markedSpans(rows, textOf) {
  const marks = new Map();
  for (let at = 0; at < rows.length; ) {
    if (rows[at][0] === " ") { at++; continue; }
    let end = at;
    while (end < rows.length && rows[end][0] !== " ") end++;
    const gone = [], come = [];
    for (let i = at; i < end; i++) (rows[i][0] === "-" ? gone : come).push(i);
    if (gone.length === come.length) {
      gone.forEach((place, k) => {
        const [old, now] = [textOf(rows[place]), textOf(rows[come[k]])];
        const [start, endA, endB] = differingSpan(old, now);
        const indent = Math.min(start, old.search(/\S|$/));
        const common = old.length - (endA - start) - indent;
        if (2 * common > Math.min(old.length, now.length) - indent) {
          marks.set(place, [start, endA]);
          marks.set(come[k], [start, endB]);
        }
      });
    }
    at = end;
  }
  return marks;
}
