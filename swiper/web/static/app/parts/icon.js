// An icon beside a text or in a labelled button. Screen readers ignore it.
import { h } from "../../vendor/preact/preact.js";
import { ICONS } from "../../vendor/lucide/icons.js";

export function Icon({ name, filled = false }) {
  const shapes = ICONS[name].map(([tag, attributes]) => h(tag, attributes));
  return h("svg", { class: filled ? "icon icon-filled" : "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, shapes);
}
