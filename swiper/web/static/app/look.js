// Light or dark theme, and reduced motion.
import { readWord, writeWord } from "./storage.js";
import { Store } from "./store.js";

export const THEMES = ["auto", "light", "dark"];
export const theme = new Store(THEMES.includes(readWord("theme")) ? readWord("theme") : "auto");

export function setTheme(name) {
  writeWord("theme", name);
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.set(name);
}

export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
