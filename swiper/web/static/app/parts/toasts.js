// The list of notices. Screen readers read each new one.
import { t } from "../catalogue.js";
import { html } from "../html.js";
import { useStore } from "../store.js";
import { dropToast, toasts } from "../toasts.js";
import { Icon } from "./icon.js";

function Toast({ toast: { id, text, kind, action } }) {
  const run = () => {
    dropToast(id);
    action.run();
  };
  return html`<div class=${`toast toast-${kind}`}>
    <span>${text}</span>
    ${action &&
    html`<button class="toast-action" onClick=${run}>
      ${action.icon && html`<${Icon} name=${action.icon} />`}${action.label}
    </button>`}
    <button class="icon-button" aria-label=${t("app.dismiss")} onClick=${() => dropToast(id)}><${Icon} name="x" /></button>
  </div>`;
}

export function Toasts() {
  const shown = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map((toast) => html`<${Toast} key=${toast.id} toast=${toast} />`)}
  </div>`;
}
