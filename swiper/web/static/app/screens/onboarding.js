// The form for the fields that a new account needs before it has a deck.
import { t } from "../catalogue.js";
import { cityKept } from "../cities.js";
import { html, useState } from "../html.js";
import { PersonFields } from "../parts/person-fields.js";
import { useSaving } from "../profile-form.js";
import { session } from "../session.js";
import { useStore } from "../store.js";

const FIELDS = ["nickname", "sex", "birthday", "location"];

export default function Onboarding() {
  const { me } = useStore(session);
  const [draft, setDraft] = useState(() => Object.fromEntries(FIELDS.map((name) => [name, me[name] ?? ""])));
  const { isBusy, text, fields, save } = useSaving();
  const change = (name, value) => setDraft((old) => ({ ...old, [name]: value }));
  const isReady = FIELDS.every((name) => draft[name]);
  const submit = (event) => {
    event.preventDefault();
    save({ ...draft, location: cityKept(draft.location) });
  };
  return html`<main class="outside">
    <header class="login-head">
      <span class="brand-mark brand-large"></span>
      <h1>${t("onboarding.title")}</h1>
      <p>${t("onboarding.lead")}</p>
    </header>
    <form class="panel stack" onSubmit=${submit}>
      <${PersonFields} draft=${draft} change=${change} errors=${fields} />
      ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
      <button class="button button-primary button-wide" disabled=${isBusy || !isReady}>${t("onboarding.start")}</button>
    </form>
  </main>`;
}
