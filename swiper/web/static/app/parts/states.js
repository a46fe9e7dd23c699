// Placeholders for content that is loading, failed to load, or is empty.
import { t } from "../catalogue.js";
import { html } from "../html.js";
import { errorText } from "../notices.js";
import { Icon } from "./icon.js";

export function Loading({ rows = 3, kind = "rows" }) {
  const places = Array.from({ length: rows }, (_, index) => html`<span key=${index} class="bone"></span>`);
  return html`<div class=${`skeleton skeleton-${kind}`} role="status">
    <span class="hidden">${t("app.loading")}</span>${places}
  </div>`;
}

export function Failed({ error, retry }) {
  return html`<div class="state" role="alert">
    <${Icon} name="wifi-off" />
    <p>${errorText(error)}</p>
    <button class="button" onClick=${retry}><${Icon} name="refresh-cw" />${t("app.retry")}</button>
  </div>`;
}

export function Empty({ icon, title, text, children }) {
  return html`<div class="state">
    <span class="state-icon"><${Icon} name=${icon} /></span>
    <h2>${title}</h2>
    <p>${text}</p>
    ${children}
  </div>`;
}

// `loaded` is from useLoaded, `children` is a function of its data.
export function Loaded({ loaded, kind, rows, children }) {
  if (loaded.error) return html`<${Failed} error=${loaded.error} retry=${loaded.reload} />`;
  if (!loaded.data) return html`<${Loading} kind=${kind} rows=${rows} />`;
  return children(loaded.data);
}
