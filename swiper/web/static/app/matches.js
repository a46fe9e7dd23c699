// Notices new friends: those whom the own swipe has made, and those whose like came later.
import * as api from "./api.js";
import { read, write } from "./storage.js";
import { Store } from "./store.js";

const EVERY_MS = 20_000;
const KEPT_IDS = 500;
const LOOK_AT = 10;

// `news` waits to be shown as an overlay, `unseen` is the number at "friends".
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

// After a rewind the same two may meet again, and that will be news.
export function forgetMatch(id) {
  write(key(), (known() ?? []).filter((other) => other !== id));
  matches.set({ news: matches.value.news.filter((card) => card.id !== id) });
}

// Whoever is here already when this browser first looks is nothing new.
export async function lookForMatches() {
  if (!uid) return;
  const page = await api.get(`/api/social/friends?per_page=${LOOK_AT}`);
  const before = known();
  const fresh = before ? page.items.filter((card) => !before.includes(card.id)) : [];
  remember(page.items.map((card) => card.id));
  if (fresh.length) announce(fresh.reverse());
}

// An answer that stays away is asked for again soon enough, and the outbox tells that the server is away.
async function lookQuietly() {
  try {
    await lookForMatches();
  } catch (error) {
    if (!error.isOutage && error.code !== api.CODE.LOGIN) throw error;
  }
}

function tick() {
  if (document.visibilityState === "visible") lookQuietly();
}

export function openMatches(id) {
  uid = id;
  clearInterval(timer);
  timer = setInterval(tick, EVERY_MS);
  lookQuietly();
}

export function closeMatches() {
  uid = null;
  clearInterval(timer);
  matches.set({ news: [], unseen: 0 });
}

export const dropNews = () => matches.set({ news: matches.value.news.slice(1) });
export const seeAll = () => matches.set({ unseen: 0 });

document.addEventListener("visibilitychange", tick);
