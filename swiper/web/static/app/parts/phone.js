// The field of a phone number with its country. The browser has the names of the countries.
import { language, t } from "../catalogue.js";
import { html, useEffect, useState } from "../html.js";
import { simplify } from "../spelling.js";
import { Field } from "./form.js";

let loading = null;

function loadRegions() {
  loading ??= fetch(new URL("../../regions.json", import.meta.url)).then((answer) => answer.json());
  return loading;
}

// The number in international form. A plus or 00 at its start means that it contains the country.
export async function international(region, number) {
  const typed = simplify(number).trim().replace(/^tel:(\/\/)?/i, "").trim();
  const abroad = /^[ (]*(?:\+|00)(.*)$/.exec(typed);
  if (abroad) return `+${abroad[1].replace(/[()]/g, "")}`;
  const regions = await loadRegions();
  return `+${regions[region]} ${typed}`;
}

function named(regions) {
  const names = new Intl.DisplayNames(language.value === "zh" ? "zh-CN" : "en", { type: "region" });
  const all = Object.entries(regions).map(([code, dial]) => ({ code, dial, name: names.of(code) }));
  return all.sort((one, other) => one.name.localeCompare(other.name, language.value));
}

export function PhoneField({ region, number, onRegion, onNumber, error }) {
  const [regions, setRegions] = useState({});
  useEffect(() => {
    loadRegions().then(setRegions);
  }, []);
  const options = named(regions);
  return html`<div class="phone">
    <${Field} label=${t("login.country")}>
      ${(ties) => html`<select ...${ties} name="country" autocomplete="country" value=${region}
        onChange=${(event) => onRegion(event.target.value)}>
        ${options.map(({ code, dial, name }) => html`<option key=${code} value=${code}>${name} +${dial}</option>`)}
      </select>`}
    <//>
    <${Field} label=${t("login.phone")} errors=${error ? [error] : []}>
      ${(ties) => html`<input ...${ties} name="phone" type="tel" inputmode="tel" autocomplete="tel-national" required
        maxlength="64" value=${number} onInput=${(event) => onNumber(event.target.value)} />`}
    <//>
  </div>`;
}
