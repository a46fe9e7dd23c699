// The form of the preferences: whom the person wants to meet.
import { t } from "../catalogue.js";
import { cityKept, cityName } from "../cities.js";
import { reshuffle } from "../deck.js";
import { html, useState } from "../html.js";
import { MAX_AGE, MIN_AGE, useSaving } from "../profile-form.js";
import { has } from "../session.js";
import { showToast } from "../toasts.js";
import { offer } from "../upsell.js";
import { Choice } from "./form.js";
import { Icon } from "./icon.js";
import { CityField, sexes } from "./person-fields.js";
import { DoubleRange } from "./range.js";

const FIELDS = ["dating_sex", "min_dating_age", "max_dating_age", "dating_location"];

function City({ draft, change, errors }) {
  const mayChoose = has("anylocation");
  return html`<${CityField} label=${t("wishes.city")} value=${draft.dating_location} errors=${errors.dating_location}
      hint=${mayChoose ? t("wishes.city_hint") : t("wishes.city_locked")} isDisabled=${!mayChoose}
      onInput=${(value) => change({ dating_location: value })} />
    ${!mayChoose && html`<button type="button" class="link" onClick=${() => offer("anylocation")}><${Icon} name="lock" />${t("wishes.unlock")}</button>`}`;
}

export function WishesPart({ me }) {
  const [draft, setDraft] = useState(() => ({
    ...Object.fromEntries(FIELDS.map((name) => [name, me[name]])),
    dating_location: cityName(me.dating_location),
  }));
  const { isBusy, text, fields, save } = useSaving();
  const change = (changes) => setDraft((old) => ({ ...old, ...changes }));
  const kept = { ...draft, dating_location: cityKept(draft.dating_location) };
  const changes = Object.fromEntries(Object.entries(kept).filter(([name, value]) => value !== me[name]));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await save(changes))) return;
    reshuffle();
    showToast(t("wishes.saved"), { kind: "good" });
  };
  const options = [...sexes(), { value: "any", label: t("wishes.any") }];
  const { min_dating_age: low, max_dating_age: high } = draft;
  return html`<form class="panel stack narrow" onSubmit=${submit} aria-labelledby="wishes">
    <h2 id="wishes">${t("wishes.title")}</h2>
    <${Choice} legend=${t("wishes.sex")} name="dating_sex" options=${options} value=${draft.dating_sex} errors=${fields.dating_sex}
      onChange=${(value) => change({ dating_sex: value })} />
    <${DoubleRange} legend=${t("wishes.ages")} least=${MIN_AGE} most=${MAX_AGE} low=${low} high=${high} lowLabel=${t("wishes.youngest")}
      highLabel=${t("wishes.oldest")} text=${t("wishes.age_text", { low, high })}
      onChange=${(least, most) => change({ min_dating_age: least, max_dating_age: most })} />
    <${City} draft=${draft} change=${change} errors=${fields} />
    ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
    <button class="button button-primary" disabled=${isBusy || !Object.keys(changes).length}>${t("profile.save")}</button>
  </form>`;
}
