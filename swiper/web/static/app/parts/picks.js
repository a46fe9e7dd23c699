// The choice of language and theme, also without a login.
import { language, LANGUAGES, setLanguage, t } from "../catalogue.js";
import { html } from "../html.js";
import { setTheme, theme, THEMES } from "../look.js";
import { useStore } from "../store.js";
import { showError } from "../notices.js";
import { Choice } from "./form.js";

const LANGUAGE_NAMES = { zh: "settings.zh", en: "settings.en" };
const THEME_NAMES = { auto: "settings.theme_auto", light: "settings.theme_light", dark: "settings.theme_dark" };

export function LanguagePick() {
  const value = useStore(language);
  const options = LANGUAGES.map((name) => ({ value: name, label: t(LANGUAGE_NAMES[name]) }));
  const change = (name) => setLanguage(name).catch(showError);
  return html`<${Choice} legend=${t("settings.language")} name="language" options=${options} value=${value} onChange=${change} />`;
}

export function ThemePick() {
  const value = useStore(theme);
  const options = THEMES.map((name) => ({ value: name, label: t(THEME_NAMES[name]) }));
  return html`<${Choice} legend=${t("settings.theme")} name="theme" options=${options} value=${value} onChange=${setTheme} />`;
}
