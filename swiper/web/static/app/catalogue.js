// The texts of the page: one JSON file for each language. A value replaces its `{name}`.
import { readWord, writeWord } from "./storage.js";
import { Store } from "./store.js";

export const LANGUAGES = ["zh", "en"];
export const language = new Store(chosenLanguage());

let texts = {};

function chosenLanguage() {
  const chosen = readWord("language");
  if (LANGUAGES.includes(chosen)) return chosen;
  const wanted = navigator.languages.map((name) => name.slice(0, 2));
  return wanted.find((name) => LANGUAGES.includes(name)) ?? "en";
}

export async function loadTexts(name = language.value) {
  const answer = await fetch(new URL(`../messages/${name}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`the texts are missing: ${answer.status}`);
  texts = await answer.json();
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
}

export async function setLanguage(name) {
  await loadTexts(name);
  writeWord("language", name);
  language.set(name);
}

export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
