// Short notices at the bottom of the page.
import { Store } from "./store.js";

const SHOWN_MS = 6000;
let last = 0;

export const toasts = new Store([]);

// `kind`: "plain", "good" or "bad"; `action`: `{label, run}`; a notice replaces an older one with the same `slot`.
export function showToast(text, { kind = "plain", action = null, slot = null, shownMs = SHOWN_MS } = {}) {
  last += 1;
  const toast = { id: last, text, kind, action, slot };
  toasts.set([...toasts.value.filter((other) => !slot || other.slot !== slot), toast].slice(-3));
  setTimeout(() => dropToast(toast.id), shownMs);
}

export function dropToast(id) {
  toasts.set(toasts.value.filter((toast) => toast.id !== id));
}
