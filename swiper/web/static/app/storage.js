// Values that this browser stores, as JSON under names that begin with "swiper.". Without localStorage (in some private
// windows, or with blocked site data) they are kept in memory, as long as the page is open.
const PREFIX = "swiper.";

function openStorage() {
  try {
    localStorage.setItem(`${PREFIX}probe`, "1");
    localStorage.removeItem(`${PREFIX}probe`);
    return localStorage;
  } catch (error) {
    console.warn("nothing is kept in this browser:", error.name);
    return null;
  }
}

const kept = openStorage();
const memory = new Map();

export function read(name, fallback = null) {
  const text = kept ? kept.getItem(PREFIX + name) : memory.get(name);
  if (text === null || text === undefined) return fallback;
  try {
    return JSON.parse(text);
  } catch {
    // Another release or the person has written it.
    return fallback;
  }
}

export function write(name, value) {
  const text = JSON.stringify(value);
  if (kept) kept.setItem(PREFIX + name, text);
  else memory.set(name, text);
}

export function remove(name) {
  if (kept) kept.removeItem(PREFIX + name);
  else memory.delete(name);
}

// All names that begin with `start`, sorted.
export function names(start) {
  const all = kept ? Object.keys(kept).filter((key) => key.startsWith(PREFIX)) : [...memory.keys()];
  const own = kept ? all.map((key) => key.slice(PREFIX.length)) : all;
  return own.filter((name) => name.startsWith(start)).sort();
}

// look-first.js reads theme and language before this module, so these are stored as plain words.
export const readWord = (name) => (kept ? kept.getItem(PREFIX + name) : memory.get(name)) ?? null;
export const writeWord = (name, word) => (kept ? kept.setItem(PREFIX + name, word) : memory.set(name, word));

export function onOtherTab(start, tell) {
  addEventListener("storage", (event) => {
    if (event.key === null || event.key.startsWith(PREFIX + start)) tell();
  });
}
