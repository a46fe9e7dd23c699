// Fields with a label, a hint, and the errors that the server found.
import { classes, html, useId } from "../html.js";

// `field` gets the attributes that connect it to its label: `field({id, "aria-describedby", "aria-invalid"})`.
export function Field({ label, hint, errors = [], children, className = "" }) {
  const id = useId();
  const noteId = `${id}-note`;
  const note = errors.length ? errors.join(" ") : hint;
  const ties = { id, "aria-describedby": note ? noteId : undefined, "aria-invalid": errors.length ? "true" : undefined };
  return html`<div class=${classes("field", className, errors.length && "field-wrong")}>
    <label for=${id}>${label}</label>
    ${children(ties)}
    ${note && html`<p id=${noteId} class="note" role=${errors.length ? "alert" : undefined}>${note}</p>`}
  </div>`;
}

// A choice of a few options: radio buttons that look like one switch.
export function Choice({ legend, name, options, value, onChange, errors = [] }) {
  return html`<fieldset class="choice">
    <legend>${legend}</legend>
    <div class="choice-options">
      ${options.map(
        (option) => html`<label key=${option.value} class="choice-option">
          <input type="radio" name=${name} value=${option.value} checked=${option.value === value}
            onChange=${() => onChange(option.value)} />
          <span>${option.label}</span>
        </label>`,
      )}
    </div>
    ${errors.length > 0 && html`<p class="note note-wrong" role="alert">${errors.join(" ")}</p>`}
  </fieldset>`;
}

export function Switch({ label, hint, isOn, onChange, isDisabled = false }) {
  const id = useId();
  return html`<div class="switch">
    <label for=${id}><span>${label}</span>${hint && html`<small>${hint}</small>`}</label>
    <input id=${id} type="checkbox" role="switch" checked=${isOn} disabled=${isDisabled}
      onChange=${(event) => onChange(event.target.checked)} />
  </div>`;
}
