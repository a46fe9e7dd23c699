// A native modal dialog: it keeps the focus, Escape closes it, and the focus returns to where it was.
import { t } from "../catalogue.js";
import { classes, html, useEffect, useId, useRef } from "../html.js";
import { Icon } from "./icon.js";

export function Dialog({ title, onClose, children, className = "", isTitleHidden = false }) {
  const ref = useRef(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  // A click beside the dialog is on its backdrop, whose events have the dialog as target.
  const press = (event) => event.target === ref.current && onClose();
  return html`<dialog ref=${ref} class=${classes("dialog", className)} aria-labelledby=${titleId} onCancel=${cancel}
    onPointerDown=${press}>
    <div class="dialog-body">
      <header class="dialog-head">
        <h2 id=${titleId} class=${isTitleHidden ? "hidden" : ""}>${title}</h2>
        <button class="icon-button" aria-label=${t("app.close")} onClick=${onClose}><${Icon} name="x" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

export function Confirm({ title, text, label, isBusy = false, onYes, onNo, children }) {
  return html`<${Dialog} title=${title} onClose=${onNo}>
    <p>${text}</p>
    ${children}
    <div class="dialog-actions">
      <button class="button" onClick=${onNo}>${t("app.cancel")}</button>
      <button class="button button-danger" disabled=${isBusy} onClick=${onYes}>${label}</button>
    </div>
  <//>`;
}
