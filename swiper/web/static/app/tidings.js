// What is told at the foot of the page about swipes and refusals.
import { t } from "./catalogue.js";
import { showToast } from "./toasts.js";

const TOLD = { like: "deck.told_like", superlike: "deck.told_superlike", dislike: "deck.told_dislike" };

export function tellSwipe(card, kind, undo) {
  const action = { label: t("deck.undo"), run: undo, icon: "undo-2" };
  showToast(t(TOLD[kind], { name: card.nickname }), { action, slot: "swipe", shownMs: 4000 });
}

// The API words its refusals itself; only silence has words of ours.
export function wordsOf(error) {
  const reasons = Object.values(error.fields ?? {}).flat();
  if (reasons.length) return reasons.join(" ");
  return error.code ? error.message : t("app.unreachable");
}

export function tellRefusal(error, name = null) {
  const text = name ? t("deck.refused", { name, reason: wordsOf(error) }) : wordsOf(error);
  // Refused swipes are told one by one; the same outage need not be.
  showToast(text, { kind: "bad", shownMs: 8000, slot: name ? null : text });
}
