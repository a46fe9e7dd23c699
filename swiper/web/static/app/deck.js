// The deck in memory: the front card and a few after it, and what a swipe changes.
import * as api from "./api.js";
import { addMatch, forgetMatch, lookForMatches } from "./matches.js";
import { addSwipe, onOutcome, outbox, sendSoon, takeBack } from "./outbox.js";
import { picturesOf } from "./pictures.js";
import { countLocally, has, quotaLeft, reloadVip } from "./session.js";
import { Store } from "./store.js";
import { showError, showSwipeNotice } from "./notices.js";
import { offer } from "./upsell.js";

const FEW = 3;
const QUOTAS = { like: "like", superlike: "superlike" };

// state: "idle", "loading", "failed" with `error`, "empty" with `empty` from the API. `leaving` are cards that fly out,
// `last` is the swipe that can be undone.
const BLANK = { cards: [], leaving: [], state: "idle", empty: null, error: null, last: null };
export const deck = new Store(BLANK);

let group = 0;
// Ids that must not appear again on this page: they were swiped, which the server may not know yet.
let gone = new Map();
// A reset increases it, so that answers to requests before the reset are dropped.
let generation = 0;

export function resetDeck() {
  generation += 1;
  group = 0;
  gone = new Map();
  deck.set(BLANK);
}

// Starts a new deck after a change of preferences. Swiped people do not come back.
export function reshuffle() {
  const kept = gone;
  resetDeck();
  gone = kept;
}

export async function fill() {
  if (deck.value.state === "loading" || deck.value.cards.length >= FEW) return;
  const asked = generation;
  deck.set({ state: "loading", error: null });
  try {
    const found = await nextPeople(() => asked === generation);
    if (asked === generation) show(found);
  } catch (error) {
    if (asked === generation) deck.set({ state: "failed", error });
    if (!error.isOutage && !(error instanceof api.ApiError)) throw error;
  }
}

function show({ people, empty }) {
  deck.set({ cards: [...deck.value.cards, ...people], state: empty ? "empty" : "idle", empty });
  for (const card of people) preload(card);
}

// Requests groups until one has new people. At the end of the deck it starts at the first group again, once.
async function nextPeople(isCurrent) {
  let canRestart = group > 0;
  // The first group starts a new pass, without people who are swiped by then: so all swipes are sent before.
  if (!group) await sendSoon();
  while (isCurrent()) {
    const { users, empty } = await api.get(`/api/social/users?group_num=${group}`);
    const people = users.filter(isNew);
    if (users.length) group += 1;
    else if (canRestart) {
      canRestart = false;
      group = 0;
      await sendSoon();
    } else return { people, empty };
    if (people.length) return { people, empty: null };
  }
  return { people: [], empty: null };
}

function isNew({ id }) {
  const isWaiting = outbox.value.waiting.some((swipe) => swipe.sid === id);
  return !gone.has(id) && !isWaiting && !deck.value.cards.some((card) => card.id === id);
}

function preload(card) {
  const [first] = picturesOf(card);
  if (first) new Image().src = first;
}

// Swipes the front card; returns false if the level or a quota does not allow it.
export function swipe(kind) {
  const [card, ...rest] = deck.value.cards;
  if (!card || !mayBe(kind)) return false;
  deck.set({ cards: rest, leaving: [...deck.value.leaving, { card, kind }] });
  recordSwipe(card, kind);
  fill();
  return true;
}

// Swipes a person in a list.
export function swipePerson(card, kind) {
  if (!mayBe(kind)) return false;
  deck.set({ cards: deck.value.cards.filter(({ id }) => id !== card.id) });
  recordSwipe(card, kind);
  return true;
}

function mayBe(kind) {
  if (kind === "superlike" && !has("superlike")) return refuse("superlike");
  if (QUOTAS[kind] && quotaLeft(QUOTAS[kind]) === 0) return refuse(kind === "like" ? "unlimit_like" : "superlike_quota");
  return true;
}

function refuse(what) {
  offer(what);
  return false;
}

function recordSwipe(card, kind) {
  gone.set(card.id, card);
  if (QUOTAS[kind]) countLocally(QUOTAS[kind], 1);
  deck.set({ last: { card, kind } });
  showSwipeNotice(card, kind, rewind);
  addSwipe(kind, card);
}

export function dropLeaving(id) {
  deck.set({ leaving: deck.value.leaving.filter(({ card }) => card.id !== id) });
}

function putBack(card) {
  gone.delete(card.id);
  const others = deck.value.cards.filter(({ id }) => id !== card.id);
  deck.set({ cards: [card, ...others], leaving: deck.value.leaving.filter((out) => out.card.id !== card.id) });
}

// Undoes the last swipe: for free while it is not sent, by a rewind after that.
export async function rewind() {
  const { last } = deck.value;
  if (last && takeBack(last.card.id)) return restore(last.card, last.kind);
  if (!has("rewind")) return refuse("rewind");
  if (quotaLeft("rewind") === 0) return refuse("rewind_quota");
  try {
    await sendSoon();
    const { sid } = await api.post("/api/social/rewind", last ? { sid: last.card.id } : {});
    countLocally("rewind", 1);
    forgetMatch(sid);
    const card = last?.card ?? (await api.get(`/api/user/${sid}`));
    return restore(card, last?.kind);
  } catch (error) {
    showError(error);
    return false;
  }
}

function restore(card, kind) {
  deck.set({ last: null });
  putBack(card);
  if (QUOTAS[kind]) countLocally(QUOTAS[kind], -1);
  return true;
}

onOutcome(({ type, swipe: { sid, kind, nickname, avatar }, data, error }) => {
  if (type === "answered") {
    if (data.is_matched) addMatch(gone.get(sid) ?? { id: sid, nickname, avatar });
    else if (kind !== "dislike") lookForMatches().catch(showError);
    return;
  }
  showError(error, nickname);
  const card = gone.get(sid);
  const mayTryAgain = error.code === api.CODE.RATE || error.code === api.CODE.PERMISSION;
  if (card && mayTryAgain) putBack(card);
  if (deck.value.last?.card.id === sid) deck.set({ last: null });
  reloadVip().catch(showError);
});
