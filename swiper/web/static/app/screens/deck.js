// The deck: cards, buttons, keys, and the page for an empty deck.
import { t } from "../catalogue.js";
import { deck, fill, rewind, swipe } from "../deck.js";
import { html, useCallback, useEffect, useState } from "../html.js";
import { DeckCard } from "../parts/deck-card.js";
import { EmptyDeck } from "../parts/empty-deck.js";
import { Icon } from "../parts/icon.js";
import { Person } from "../parts/person.js";
import { Failed } from "../parts/states.js";
import { has, session } from "../session.js";
import { useStore } from "../store.js";

const SHOWN = 3;
const BUZZ_MS = 15;
const KEYS = { ArrowLeft: "dislike", ArrowRight: "like", ArrowUp: "superlike" };

// The deck uses a key only if no field or dialog uses it.
const isElsewhere = ({ target, ctrlKey, metaKey, altKey }) =>
  ctrlKey || metaKey || altKey || target.closest("input, select, textarea, dialog") || document.querySelector("dialog[open]");

function useKeys(onSwipe, onRewind, onDetails) {
  useEffect(() => {
    const press = (event) => {
      if (event.repeat || isElsewhere(event)) return;
      if (KEYS[event.key]) onSwipe(KEYS[event.key]);
      else if (event.key === "Backspace" || event.key.toLowerCase() === "z") onRewind();
      else if (event.key === "ArrowDown") onDetails();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [onSwipe, onRewind, onDetails]);
}

function Action({ icon, label, kind, left, isLocked, onClick, isDisabled, isFilled = false }) {
  const note = isLocked ? t("deck.locked") : left !== null && left !== undefined ? t("deck.left", { count: left }) : null;
  return html`<button class=${`action action-${kind}`} disabled=${isDisabled} onClick=${onClick}
    aria-label=${note ? `${label}, ${note}` : label} title=${label}>
    <${Icon} name=${icon} filled=${isFilled} />
    ${isLocked && html`<span class="action-note"><${Icon} name="lock" /></span>`}
    ${!isLocked && left !== null && left !== undefined && html`<span class="action-note">${left}</span>`}
  </button>`;
}

function Actions({ isEmpty, canRewind, onSwipe, onRewind, vip }) {
  const { superlike, rewind: back } = vip.quotas;
  return html`<div class="actions" role="group" aria-label=${t("deck.actions")}>
    <${Action} icon="undo-2" kind="rewind" label=${t("deck.rewind")} left=${canRewind ? back.left : null} isLocked=${!canRewind}
      onClick=${onRewind} />
    <${Action} icon="x" kind="nope" label=${t("deck.dislike")} isDisabled=${isEmpty} onClick=${() => onSwipe("dislike")} />
    <${Action} icon="star" kind="super" label=${t("deck.superlike")} left=${superlike.left} isLocked=${!has("superlike")} isFilled
      isDisabled=${isEmpty} onClick=${() => onSwipe("superlike")} />
    <${Action} icon="heart" kind="like" label=${t("deck.like")} isFilled isDisabled=${isEmpty} onClick=${() => onSwipe("like")} />
  </div>`;
}

function Stack({ state, cards, leaving, error, empty, onSwipe, isPlaying }) {
  if (!cards.length && !leaving.length) {
    if (state === "failed") return html`<${Failed} error=${error} retry=${fill} />`;
    if (state === "empty") return html`<${EmptyDeck} empty=${empty} />`;
    return html`<div class="card deck-card card-bone" role="status"><span class="hidden">${t("app.loading")}</span></div>`;
  }
  const waiting = cards.slice(0, SHOWN).map((card, depth) => ({ card, depth }));
  // The front card is the last element, so that it is on top; cards that fly out are above it.
  const drawn = [...waiting.reverse(), ...leaving.map(({ card, kind }) => ({ card, leaving: kind, depth: 0 }))];
  return drawn.map(
    (item) => html`<${DeckCard} key=${item.card.id} ...${item} onSwipe=${onSwipe} isPlaying=${isPlaying} />`,
  );
}

export default function Deck() {
  const { cards, leaving, state, error, empty } = useStore(deck);
  const { me, vip } = useStore(session);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    fill();
  }, []);
  const onSwipe = useCallback((kind) => {
    const isDone = swipe(kind);
    if (isDone && session.value.me.vibration) navigator.vibrate?.(BUZZ_MS);
    return isDone;
  }, []);
  const [front] = cards;
  const onDetails = useCallback(() => setOpen(true), []);
  useKeys(onSwipe, rewind, onDetails);
  const likes = vip.quotas.like.left;
  return html`<section class="deck" aria-label=${t("nav.deck")}>
    <h1 class="hidden">${t("nav.deck")}</h1>
    <div class="cards">
      <${Stack} ...${{ state, cards, leaving, error, empty, onSwipe }} isPlaying=${me.auto_play} />
      ${front && html`<button class="icon-button card-more" aria-label=${t("card.details")} onClick=${onDetails}><${Icon} name="info" /></button>`}
    </div>
    <p class="hidden" role="status">${front ? t("deck.in_front", { name: front.nickname }) : ""}</p>
    <${Actions} isEmpty=${!front} canRewind=${has("rewind")} onSwipe=${onSwipe} onRewind=${rewind} vip=${vip} />
    <p class="deck-foot">
      <span>${likes === null ? t("deck.likes_free") : t("deck.likes_left", { count: likes })}</span>
      <span class="keys">${t("deck.keys")}</span>
    </p>
    ${isOpen && front && html`<${Person} id=${front.id} known=${front} onClose=${() => setOpen(false)} />`}
  </section>`;
}
