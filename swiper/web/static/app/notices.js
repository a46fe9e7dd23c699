// Notices at the bottom of the page about swipes and errors.
import { t } from "./catalogue.js";
import { showToast } from "./toasts.js";

const TOLD = { like: "deck.told_like", superlike: "deck.told_superlike", dislike: "deck.told_dislike" };

export function showSwipeNotice(card, kind, undo) {
  const action = { label: t("deck.undo"), run: undo, icon: "undo-2" };
  showToast(t(TOLD[kind], { name: card.nickname }), { action, slot: "swipe", shownMs: 4000 });
}

// The API answers errors with a text. Only for a missing answer the page has its own text.
export function errorText(error) {
  const reasons = Object.values(error.fields ?? {}).flat();
  if (reasons.length) return reasons.join(" ");
  return error.code ? error.message : t("app.unreachable");
}

export function showError(error, name = null) {
  const text = name ? t("deck.refused", { name, reason: errorText(error) }) : errorText(error);
  // Each refused swipe has its own notice; repeated errors of an outage share one.
  showToast(text, { kind: "bad", shownMs: 8000, slot: name ? null : text });
}
