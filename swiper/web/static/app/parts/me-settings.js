// How the page behaves, and the account itself: leaving, taking one's data along, deleting everything.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { html, useState } from "../html.js";
import { useSaving } from "../profile-form.js";
import { leave } from "../session.js";
import { tellRefusal } from "../tidings.js";
import { Devices } from "./devices.js";
import { Confirm, Dialog } from "./dialog.js";
import { Field, Switch } from "./form.js";
import { FreshCode, useFreshCode } from "./fresh-code.js";
import { Icon } from "./icon.js";
import { LanguagePick, ThemePick } from "./picks.js";

const SWITCHES = {
  vibration: { label: "settings.vibration", hint: "settings.vibration_hint" },
  auto_play: { label: "settings.auto_play", hint: "settings.auto_play_hint" },
  only_match: { label: "settings.only_match", hint: "settings.only_match_hint" },
};

function Switches({ me }) {
  const { text, save } = useSaving();
  // Shown at once; what could not be stored goes back to what the server has.
  const [wanted, setWanted] = useState({});
  const turn = async (name, isOn) => {
    setWanted((old) => ({ ...old, [name]: isOn }));
    await save({ [name]: isOn });
    setWanted((old) => ({ ...old, [name]: undefined }));
  };
  return html`<section class="panel" aria-labelledby="behaviour">
    <h2 id="behaviour">${t("settings.title")}</h2>
    <div class="stack">
      <${LanguagePick} />
      <${ThemePick} />
      ${Object.entries(SWITCHES).map(
        ([name, { label, hint }]) => html`<${Switch} key=${name} label=${t(label)} hint=${t(hint)} isOn=${wanted[name] ?? me[name]}
          onChange=${(isOn) => turn(name, isOn)} />`,
      )}
    </div>
    ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
  </section>`;
}

function saveFile(name, data) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

// Runs one of the account's commands at a time.
function useCommand() {
  const [isBusy, setBusy] = useState(false);
  const run = async (work) => {
    setBusy(true);
    try {
      await work();
    } catch (error) {
      tellRefusal(error);
    }
    setBusy(false);
  };
  return { isBusy, run };
}

function Deletion({ me, onClose }) {
  const [typed, setTyped] = useState("");
  const { code, setCode, error, setError, isWhole, isBusy, run } = useFreshCode();
  const isSure = typed.trim() === me.nickname && isWhole;
  const yes = () =>
    run(async (vcode) => {
      if (!isSure) return;
      await api.del("/api/user/account", { vcode });
      leave();
    });
  return html`<${Confirm} title=${t("account.delete")} text=${t("account.delete_text")} label=${t("account.delete_yes")}
    isBusy=${isBusy || !isSure} onYes=${yes} onNo=${onClose}>
    <${Field} label=${t("account.delete_type", { name: me.nickname })}>
      ${(ties) => html`<input ...${ties} autocomplete="off" value=${typed} onInput=${(event) => setTyped(event.target.value)} />`}
    <//>
    <p>${t("account.needs_code")}</p>
    <${FreshCode} phone=${me.phone} code=${code} onCode=${setCode} error=${error} onError=${setError} />
  <//>`;
}

function Export({ me, onClose }) {
  const { code, setCode, error, setError, isWhole, isBusy, run } = useFreshCode();
  const submit = (event) => {
    event.preventDefault();
    run(async (vcode) => {
      saveFile("swiper-export.json", await api.post("/api/user/export", { vcode }));
      onClose();
    });
  };
  return html`<${Dialog} title=${t("account.export")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p>${t("account.needs_code")}</p>
      <${FreshCode} phone=${me.phone} code=${code} onCode=${setCode} error=${error} onError=${setError} />
      <button class="button button-primary" disabled=${isBusy || !isWhole}>${t("account.export_yes")}</button>
    </form>
  <//>`;
}

function Account({ me }) {
  const { isBusy, run } = useCommand();
  const [isDeleting, setDeleting] = useState(false);
  const [isExporting, setExporting] = useState(false);
  const logOut = (all) =>
    run(async () => {
      await api.post("/api/user/logout", { all });
      leave();
    });
  return html`<section class="panel" aria-labelledby="account">
    <h2 id="account">${t("account.title")}</h2>
    <p class="note">${t("account.phone", { phone: me.phone })}</p>
    <div class="stack">
      <button class="button" disabled=${isBusy} onClick=${() => logOut(false)}><${Icon} name="log-out" />${t("account.log_out")}</button>
      <button class="button" disabled=${isBusy} onClick=${() => logOut(true)}><${Icon} name="log-out" />${t("account.log_out_all")}</button>
      <button class="button" onClick=${() => setExporting(true)}><${Icon} name="download" />${t("account.export")}</button>
      <button class="button button-danger-quiet" onClick=${() => setDeleting(true)}><${Icon} name="trash" />${t("account.delete")}</button>
    </div>
    ${isExporting && html`<${Export} me=${me} onClose=${() => setExporting(false)} />`}
    ${isDeleting && html`<${Deletion} me=${me} onClose=${() => setDeleting(false)} />`}
  </section>`;
}

export const SettingsPart = ({ me }) => html`<div class="columns"><${Switches} me=${me} /><${Account} me=${me} /><${Devices} /></div>`;
