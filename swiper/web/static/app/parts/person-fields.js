// The fields of a profile, for a new one and for changes.
import { t } from "../catalogue.js";
import { suggestedCities } from "../cities.js";
import { html } from "../html.js";
import { birthdayOf, MAX_AGE, MIN_AGE } from "../profile-form.js";
import { Choice, Field } from "./form.js";

const NAME_LENGTH = 32;
const BIO_LENGTH = 500;

export const sexes = () => [
  { value: "female", label: t("profile.female") },
  { value: "male", label: t("profile.male") },
];

export function CityField({ label, value, onInput, errors, hint, isDisabled = false }) {
  return html`<${Field} label=${label} errors=${errors} hint=${hint}>
    ${(ties) => html`<input ...${ties} list=${`${ties.id}-cities`} maxlength="64" required value=${value ?? ""}
        disabled=${isDisabled} autocomplete="off" onInput=${(event) => onInput(event.target.value)} />
      <datalist id=${`${ties.id}-cities`}>${suggestedCities().map((city) => html`<option key=${city} value=${city}></option>`)}</datalist>`}
  <//>`;
}

// `draft` has the values of the fields, `change(name, value)` sets one.
export function PersonFields({ draft, change, errors }) {
  const typed = (name) => (event) => change(name, event.target.value);
  const birthday = (ties) => html`<input ...${ties} type="date" autocomplete="bday" required min=${birthdayOf(MAX_AGE + 1)}
    max=${birthdayOf(MIN_AGE)} value=${draft.birthday ?? ""} onInput=${typed("birthday")} />`;
  return html`
    <${Field} label=${t("profile.nickname")} errors=${errors.nickname}>
      ${(ties) => html`<input ...${ties} autocomplete="nickname" required maxlength=${NAME_LENGTH} value=${draft.nickname}
        onInput=${typed("nickname")} />`}
    <//>
    <${Choice} legend=${t("profile.sex")} name="sex" options=${sexes()} value=${draft.sex} errors=${errors.sex}
      onChange=${(value) => change("sex", value)} />
    <div class="pair">
      <${Field} label=${t("profile.birthday")} errors=${errors.birthday} hint=${t("profile.birthday_hint")}>${birthday}<//>
      <${CityField} label=${t("profile.city")} value=${draft.location} errors=${errors.location} hint=${t("profile.city_hint")}
        onInput=${(value) => change("location", value)} />
    </div>`;
}

export function BioField({ draft, change, errors }) {
  const length = [...draft.bio].length;
  return html`<${Field} label=${t("profile.bio")} errors=${errors.bio} hint=${t("profile.bio_count", { length, most: BIO_LENGTH })}>
    ${(ties) => html`<textarea ...${ties} rows="4" maxlength=${BIO_LENGTH} value=${draft.bio}
      onInput=${(event) => change("bio", event.target.value)}></textarea>`}
  <//>`;
}
