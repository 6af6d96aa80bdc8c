const THEME_KEY = "ge-report-theme";

/** Storage may be shut for a file from disk: then the choice lasts as long as the page. */
function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { say("This browser does not keep the choice of theme."); }
}

function theme() {
  return document.documentElement.dataset.theme;
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  const button = byId("theme");
  button.setAttribute("aria-pressed", String(name === "dark"));
  button.textContent = name === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-label", name === "dark" ? "Use the light theme" : "Use the dark theme");
}

function initialTheme() {
  return remembered(THEME_KEY) ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

/** A copy of plain data with the light palette's colours replaced by those of the theme. */
function coloured(data, dark) {
  if (theme() === "light") return structuredClone(data);
  const walk = (value) => {
    if (typeof value === "string") return dark[value] ?? value;
    if (Array.isArray(value)) return value.map(walk);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, walk(v)]));
    return value;
  };
  return walk(data);
}
