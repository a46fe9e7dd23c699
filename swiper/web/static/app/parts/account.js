// The account: logout, export, deletion.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { html, useState } from "../html.js";
import { leave } from "../session.js";
import { showError } from "../notices.js";
import { Confirm, Dialog } from "./dialog.js";
import { Field } from "./form.js";
import { FreshCode, useFreshCode } from "./fresh-code.js";
import { Icon } from "./icon.js";

function saveFile(name, data) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

// Runs one command of the account at a time.
function useCommand() {
  const [isBusy, setBusy] = useState(false);
  const run = async (work) => {
    setBusy(true);
    try {
      await work();
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  return { isBusy, run };
}

function Deletion({ phone, nickname, onClose }) {
  const [typed, setTyped] = useState("");
  const { code, setCode, error, setError, isWhole, isBusy, run } = useFreshCode();
  const isSure = (!nickname || typed.trim() === nickname) && isWhole;
  const yes = () =>
    run(async (vcode) => {
      if (!isSure) return;
      await api.del("/api/user/account", { vcode });
      leave();
    });
  return html`<${Confirm} title=${t("account.delete")} text=${t("account.delete_text")} label=${t("account.delete_yes")}
    isBusy=${isBusy || !isSure} onYes=${yes} onNo=${onClose}>
    ${
      nickname &&
      html`<${Field} label=${t("account.delete_type", { name: nickname })}>
        ${(ties) => html`<input ...${ties} autocomplete="off" value=${typed} onInput=${(event) => setTyped(event.target.value)} />`}
      <//>`
    }
    <p>${t("account.needs_code")}</p>
    <${FreshCode} phone=${phone} code=${code} onCode=${setCode} error=${error} onError=${setError} />
  <//>`;
}

function Export({ phone, onClose }) {
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
      <${FreshCode} phone=${phone} code=${code} onCode=${setCode} error=${error} onError=${setError} />
      <button class="button button-primary" disabled=${isBusy || !isWhole}>${t("account.export_yes")}</button>
    </form>
  <//>`;
}

// A deletion asks to type `nickname`, except from suspended people, who cannot read their profile.
export function Account({ phone, nickname = null }) {
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
    <p class="note">${t("account.phone", { phone })}</p>
    <div class="stack">
      <button class="button" disabled=${isBusy} onClick=${() => logOut(false)}><${Icon} name="log-out" />${t("account.log_out")}</button>
      <button class="button" disabled=${isBusy} onClick=${() => logOut(true)}><${Icon} name="log-out" />${t("account.log_out_all")}</button>
      <button class="button" onClick=${() => setExporting(true)}><${Icon} name="download" />${t("account.export")}</button>
      <button class="button button-danger-quiet" onClick=${() => setDeleting(true)}><${Icon} name="trash" />${t("account.delete")}</button>
    </div>
    ${isExporting && html`<${Export} phone=${phone} onClose=${() => setExporting(false)} />`}
    ${isDeleting && html`<${Deletion} phone=${phone} nickname=${nickname} onClose=${() => setDeleting(false)} />`}
  </section>`;
}
