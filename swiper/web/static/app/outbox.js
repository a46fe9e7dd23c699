// Swipes on their way: each is kept in this browser before it is sent, sent in order, and removed when it is answered.
// What the server refuses for good is told and removed; while it is away everything waits.
import * as api from "./api.js";
import { whoIsHere } from "./person.js";
import { names, onOtherTab, read, remove, write } from "./storage.js";
import { Store } from "./store.js";

const START = "outbox.";
const LOCK = "swiper.outbox";
const WAITS_MS = [1000, 2000, 4000, 8000, 15000, 30000];

// `waiting` are the kept swipes of the person who is logged in; `isAway` once a try has failed.
export const outbox = new Store({ waiting: [], isAway: false });

let owner = null;
let running = null;
let tries = 0;
let timer = 0;
let sent = 0;
const listeners = new Set();

// `listener({type: "answered" | "refused", swipe, data | error})`.
export function onOutcome(listener) {
  listeners.add(listener);
}

const tell = (outcome) => listeners.forEach((listener) => listener(outcome));
const load = () => names(START).map((name) => ({ name, ...read(name, {}) }));
// None as soon as another tab has logged somebody else in: the cookie is theirs by then.
const own = () => (whoIsHere() === owner ? load().filter((swipe) => swipe.uid === owner) : []);

function refresh() {
  outbox.set({ waiting: own() });
}

// From now on `uid` swipes here. What somebody else has left is never sent in their name: its number is returned,
// and it is gone.
export function openOutbox(uid) {
  owner = uid;
  const foreign = load().filter((swipe) => swipe.uid !== uid);
  for (const swipe of foreign) remove(swipe.name);
  refresh();
  sendSoon();
  return foreign.length;
}

export function closeOutbox() {
  owner = null;
  clearTimeout(timer);
  outbox.set({ waiting: [], isAway: false });
}

export function addSwipe(kind, { id, nickname, avatar }) {
  sent += 1;
  const name = `${START}${Date.now()}-${String(sent).padStart(6, "0")}-${Math.random().toString(36).slice(2, 8)}`;
  write(name, { uid: owner, sid: id, kind, nickname, avatar });
  refresh();
  return sendSoon();
}

// Takes back a swipe that was not sent yet; false when it is too late for that: one without an answer may have arrived.
export function takeBack(sid) {
  const swipe = own().find((kept) => kept.sid === sid);
  if (!swipe || swipe.isTried) return false;
  remove(swipe.name);
  refresh();
  return true;
}

// Resolves when everything is sent, or the server is away.
export function sendSoon() {
  clearTimeout(timer);
  if (!owner) return Promise.resolve();
  running ??= run();
  return running;
}

async function run() {
  try {
    await withLock(sendAll);
  } finally {
    running = null;
  }
  // One that was added in the last moment.
  if (own().length && !outbox.value.isAway) await sendSoon();
}

// Two tabs must not send side by side. Where a browser has no locks (only on pages without TLS) the server sorts it
// out: the same swipe again changes nothing.
const withLock = (work) => (navigator.locks ? navigator.locks.request(LOCK, work) : work());

async function sendAll() {
  for (let swipe = own()[0]; swipe; swipe = own()[0]) {
    // From here on it may have arrived, whatever comes back. What a browser says of its network is no help: a machine
    // with nothing but itself is offline to it, and reaches a service of its own all the same.
    markTried(swipe);
    try {
      const data = await api.post(`/api/social/${swipe.kind}`, { sid: swipe.sid });
      finish(swipe, { type: "answered", swipe, data });
    } catch (error) {
      if (!handleFailure(swipe, error)) return;
    }
  }
}

function markTried({ name, ...swipe }) {
  write(name, { ...swipe, isTried: true });
}

function finish(swipe, outcome) {
  remove(swipe.name);
  tries = 0;
  outbox.set({ waiting: own(), isAway: false });
  tell(outcome);
}

// True when the next swipe may be tried.
function handleFailure(swipe, error) {
  if (!(error instanceof api.ApiError) && !(error instanceof api.Unreachable)) throw error;
  // Kept until the same person logs in again.
  if (error.code === api.CODE.LOGIN) return false;
  const isBusy = error.code === api.CODE.RATE && !error.data?.reset_at;
  if (error.isOutage || isBusy) {
    const pause = Math.max(WAITS_MS[Math.min(tries, WAITS_MS.length - 1)], isBusy ? error.retryAfter * 1000 : 0);
    tries += 1;
    outbox.set({ isAway: true });
    timer = setTimeout(sendSoon, pause);
    return false;
  }
  finish(swipe, { type: "refused", swipe, error });
  return true;
}

addEventListener("online", () => sendSoon());
onOtherTab(START, refresh);
