// The form of the own profile, with the card as others see it beside the form.
import { t } from "../catalogue.js";
import { cityKept, cityName } from "../cities.js";
import { ageOf } from "../format.js";
import { html, useState } from "../html.js";
import { useSaving } from "../profile-form.js";
import { showToast } from "../toasts.js";
import { Album } from "./album.js";
import { Preview } from "./card.js";
import { BioField, PersonFields } from "./person-fields.js";
import { AvatarPick } from "./upload.js";

const FIELDS = ["nickname", "sex", "birthday", "location", "bio"];
// A hint says, before the form is sent, what can be corrected only once.
const ONCE = { sex: "profile.sex_once", birthday: "profile.birthday_once" };

const draftOf = (me) => {
  const draft = Object.fromEntries(FIELDS.map((name) => [name, me[name] ?? ""]));
  return { ...draft, location: cityName(draft.location) };
};

export function ProfilePart({ me }) {
  const [draft, setDraft] = useState(() => draftOf(me));
  const { isBusy, text, fields, save } = useSaving();
  const change = (name, value) => setDraft((old) => ({ ...old, [name]: value }));
  const kept = { ...draft, location: cityKept(draft.location) };
  const changes = Object.fromEntries(Object.entries(kept).filter(([name, value]) => value !== (me[name] ?? "")));
  const corrected = Object.keys(ONCE).filter((name) => me[name] && name in changes);
  const isChanged = Object.keys(changes).length > 0;
  const submit = async (event) => {
    event.preventDefault();
    if (await save(changes)) showToast(t("profile.saved"), { kind: "good" });
  };
  const card = { ...me, ...kept, age: draft.birthday ? ageOf(draft.birthday) : null };
  return html`<div class="profile">
    <section class="profile-card" aria-labelledby="preview">
      <h2 id="preview" class="hidden">${t("profile.preview")}</h2>
      <${Preview} card=${card} />
      <${AvatarPick} />
    </section>
    <div class="profile-forms">
      <form class="panel stack" onSubmit=${submit} aria-labelledby="about">
        <h2 id="about">${t("profile.about")}</h2>
        <${PersonFields} draft=${draft} change=${change} errors=${fields} />
        <${BioField} draft=${draft} change=${change} errors=${fields} />
        ${corrected.map((name) => html`<p key=${name} class="note" role="status">${t(ONCE[name])}</p>`)}
        ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
        <button class="button button-primary" disabled=${isBusy || !isChanged}>${t("profile.save")}</button>
      </form>
      <${Album} photos=${me.photos} />
    </div>
  </div>`;
}
