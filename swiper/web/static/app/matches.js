// Finds new friends: from the person's own swipes, and from likes by others that came later.
import * as api from "./api.js";
import { read, write } from "./storage.js";
import { Store } from "./store.js";

const EVERY_MS = 20_000;
const KEPT_IDS = 500;
const LOOK_AT = 10;

// `news` are the matches to show in an overlay, `unseen` is the number beside "friends".
export const matches = new Store({ news: [], unseen: 0 });

let uid = null;
let timer = 0;

const key = () => `friends.${uid}`;
const known = () => read(key());

function remember(ids) {
  write(key(), [...new Set([...ids, ...(known() ?? [])])].slice(0, KEPT_IDS));
}

function announce(cards) {
  matches.set({ news: [...matches.value.news, ...cards], unseen: matches.value.unseen + cards.length });
}

export function addMatch(card) {
  if (known()?.includes(card.id)) return;
  remember([card.id]);
  announce([card]);
}

// After a rewind the same two may match again, which is then a new match.
export function forgetMatch(id) {
  write(key(), (known() ?? []).filter((other) => other !== id));
  matches.set({ news: matches.value.news.filter((card) => card.id !== id) });
}

// Friends who exist at the first look of this browser are not new.
export async function lookForMatches() {
  if (!uid) return;
  const page = await api.get(`/api/social/friends?per_page=${LOOK_AT}`);
  const before = known();
  const fresh = before ? page.items.filter((card) => !before.includes(card.id)) : [];
  remember(page.items.map((card) => card.id));
  if (fresh.length) announce(fresh.reverse());
}

// Without an answer, the next tick tries again; the outbox shows that the server is away.
async function tryToLookForMatches() {
  try {
    await lookForMatches();
  } catch (error) {
    if (!error.isOutage && error.code !== api.CODE.LOGIN) throw error;
  }
}

function tick() {
  if (document.visibilityState === "visible") tryToLookForMatches();
}

export function openMatches(id) {
  uid = id;
  clearInterval(timer);
  timer = setInterval(tick, EVERY_MS);
  tryToLookForMatches();
}

export function closeMatches() {
  uid = null;
  clearInterval(timer);
  matches.set({ news: [], unseen: 0 });
}

export const dropNews = () => matches.set({ news: matches.value.news.slice(1) });
export const seeAll = () => matches.set({ unseen: 0 });

document.addEventListener("visibilitychange", tick);
