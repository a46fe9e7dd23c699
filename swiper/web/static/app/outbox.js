// Swipes that are not answered yet. Each is stored in this browser, sent in order, and removed when it is answered.
// A swipe that the server refuses is removed, and the person is told. While the server is away, all swipes wait.
import * as api from "./api.js";
import { currentPerson } from "./person.js";
import { names, onOtherTab, read, remove, write } from "./storage.js";
import { Store } from "./store.js";

const START = "outbox.";
const LOCK = "swiper.outbox";
const WAITS_MS = [1000, 2000, 4000, 8000, 15000, 30000];

// `waiting` are the stored swipes of the person who is logged in; `isAway` is true after a failed attempt.
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
// Empty once another tab has logged in somebody else: the session cookie is then that person's.
const own = () => (currentPerson() === owner ? load().filter((swipe) => swipe.uid === owner) : []);

function refresh() {
  outbox.set({ waiting: own() });
}

// Starts sending for the person `uid`. Swipes of other people are removed, since they must never be sent in another
// name; returns their number.
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

// Removes a swipe that was not sent yet. Returns false for a sent one: also without an answer it may have arrived.
export function takeBack(sid) {
  const swipe = own().find((kept) => kept.sid === sid);
  if (!swipe || swipe.isTried) return false;
  remove(swipe.name);
  refresh();
  return true;
}

// Resolves when all swipes are sent, or the server is away.
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
  // A swipe may have been added after the last look.
  if (own().length && !outbox.value.isAway) await sendSoon();
}

// Only one tab may send at a time. Browsers have no locks on pages without TLS. Then two tabs may send the same swipe,
// which is harmless: the second one changes nothing on the server.
const withLock = (work) => (navigator.locks ? navigator.locks.request(LOCK, work) : work());

async function sendAll() {
  for (let swipe = own()[0]; swipe; swipe = own()[0]) {
    // From here on the swipe may have arrived, whatever is answered. `navigator.onLine` does not help: it is false on a
    // machine without a network, which can still reach a server on itself.
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

// Returns true if the next swipe may be sent.
function handleFailure(swipe, error) {
  if (!(error instanceof api.ApiError) && !(error instanceof api.Unreachable)) throw error;
  // The swipe stays stored until the same person logs in again.
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
