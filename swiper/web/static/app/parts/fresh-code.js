// The field for a fresh code to the person's phone, for actions that need more than a session.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { askForCode } from "../codes.js";
import { html, useState } from "../html.js";
import { errorText } from "../notices.js";
import { Ring, useCountdown } from "./clock.js";
import { Field } from "./form.js";

export const CODE_LENGTH = 6;

function Send({ phone, onError }) {
  const [{ resendAt, total, delivery, isBusy }, setState] = useState({ resendAt: 0, total: 60, delivery: "", isBusy: false });
  const seconds = useCountdown(resendAt);
  const wait = (inSeconds, now) =>
    setState({ resendAt: Date.now() + inSeconds * 1000, total: inSeconds, delivery: now, isBusy: false });
  const send = async () => {
    setState((old) => ({ ...old, isBusy: true }));
    try {
      const { resend_in: resendIn, delivery: now } = await askForCode(phone);
      onError("");
      wait(resendIn, now);
    } catch (error) {
      onError(errorText(error));
      wait(error.retryAfter ?? 0, delivery);
    }
  };
  const told = delivery === "sent_before" ? t("login.sent_before", { phone }) : t("login.sent_to", { phone });
  return html`${delivery && html`<p class="note" role="status">${told}</p>`}
    <div class="resend">
      ${
        seconds > 0
          ? html`<${Ring} seconds=${seconds} total=${total} /><span>${t("login.resend_wait")}</span>`
          : html`<button type="button" class="button" disabled=${isBusy} onClick=${send}>${t(delivery ? "login.resend" : "login.send_code")}</button>`
      }
    </div>`;
}

export function FreshCode({ phone, code, onCode, error, onError }) {
  return html`<${Send} phone=${phone} onError=${onError} />
    <${Field} label=${t("login.code")} errors=${error ? [error] : []} className="code-field">
      ${(ties) => html`<input ...${ties} class="code" name="code" autocomplete="one-time-code" inputmode="numeric"
        maxlength=${CODE_LENGTH} value=${code}
        onInput=${(event) => onCode(event.target.value.replace(/\D/g, "").slice(0, CODE_LENGTH))} />`}
    <//>`;
}

// `{code, setCode, error, setError, isWhole, isBusy, run}`. `run` calls `work(code)`; `error` is for the field.
export function useFreshCode() {
  const [code, setCode] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const run = async (work) => {
    setBusy(true);
    setError("");
    try {
      await work(code);
    } catch (refusal) {
      if (!(refusal instanceof api.ApiError || refusal instanceof api.Unreachable)) throw refusal;
      if (refusal.code === api.CODE.VCODE) setCode("");
      setError(errorText(refusal));
      setBusy(false);
    }
  };
  return { code, setCode, error, setError, isWhole: code.length === CODE_LENGTH, isBusy, run };
}
