// What this browser remembers, as JSON under names that begin with "swiper.". A browser that keeps nothing for pages
// (private windows of some, blocked site data) gets a memory that lasts as long as the page.
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
    // Written by another release, or by hand.
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

// Every name that begins with `start`, in order.
export function names(start) {
  const all = kept ? Object.keys(kept).filter((key) => key.startsWith(PREFIX)) : [...memory.keys()];
  const own = kept ? all.map((key) => key.slice(PREFIX.length)) : all;
  return own.filter((name) => name.startsWith(start)).sort();
}

// Theme and language are read before this module by look-first.js, so they are kept as plain words.
export const readWord = (name) => (kept ? kept.getItem(PREFIX + name) : memory.get(name)) ?? null;
export const writeWord = (name, word) => (kept ? kept.setItem(PREFIX + name, word) : memory.set(name, word));

export function onOtherTab(start, tell) {
  addEventListener("storage", (event) => {
    if (event.key === null || event.key.startsWith(PREFIX + start)) tell();
  });
}
