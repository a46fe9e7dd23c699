// The login: a phone number, then the code that was sent to it.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { askForCode } from "../codes.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { codeSent, forget, guessedWrong, readState, waitUntil } from "../login-state.js";
import { Ring, useCountdown } from "../parts/clock.js";
import { Field } from "../parts/form.js";
import { PhoneField, international } from "../parts/phone.js";
import { LanguagePick } from "../parts/picks.js";
import { enter, setPhone } from "../session.js";
import { digitsOf } from "../spelling.js";
import { errorText } from "../notices.js";

const CODE_LENGTH = 6;

// Runs `work`, and returns its error as text.
function useTry() {
  const [state, setState] = useState({ isBusy: false, text: "" });
  const run = async (work) => {
    setState({ isBusy: true, text: "" });
    try {
      await work();
      setState({ isBusy: false, text: "" });
    } catch (error) {
      setState({ isBusy: false, text: errorText(error) });
      if (!(error instanceof api.ApiError || error instanceof api.Unreachable)) throw error;
    }
  };
  return { ...state, run };
}

async function sendCode(phone, region) {
  const { resend_in: resendIn, delivery } = await askForCode(phone);
  return codeSent({ phone, region, resendIn, delivery });
}

function PhoneStep({ onSent }) {
  const [region, setRegion] = useState(document.documentElement.dataset.region);
  const [number, setNumber] = useState("");
  const attempt = useTry();
  const submit = (event) => {
    event.preventDefault();
    attempt.run(async () => {
      const phone = await international(region, number);
      try {
        onSent(await sendCode(phone, region));
      } catch (error) {
        // The last code is still valid and can be typed. The ring shows when another one can be sent.
        if (error.code !== api.CODE.RATE || error.retryAfter > 60) throw error;
        onSent(codeSent({ phone, region, resendIn: error.retryAfter }));
      }
    });
  };
  return html`<form class="stack" onSubmit=${submit}>
    <p class="lead">${t("login.lead")}</p>
    <${PhoneField} region=${region} number=${number} onRegion=${setRegion} onNumber=${setNumber} error=${attempt.text} />
    <button class="button button-primary button-wide" disabled=${attempt.isBusy || !number.trim()}>${t("login.send_code")}</button>
    <p class="note">${t("login.terms")}</p>
  </form>`;
}

function Resend({ state, onState, isSoon }) {
  const seconds = useCountdown(state.resendAt);
  const attempt = useTry();
  const send = () =>
    attempt.run(async () => {
      try {
        onState(await sendCode(state.phone, state.region));
      } catch (error) {
        if (error.retryAfter) onState(waitUntil(state, error.retryAfter));
        throw error;
      }
    });
  return html`<div class="resend">
    ${
      seconds > 0
        ? html`<${Ring} seconds=${seconds} total=${state.total} /><span>${t("login.resend_wait")}</span>`
        : html`<button type="button" class=${isSoon ? "button button-primary" : "button"} disabled=${attempt.isBusy}
            onClick=${send}>${t("login.resend")}</button>`
    }
    ${attempt.text && html`<p class="note note-wrong" role="alert">${attempt.text}</p>`}
  </div>`;
}

function CodeHint() {
  const { outbox } = document.documentElement.dataset;
  if (!outbox) return null;
  return html`<aside class="hint">
    <p>${t("login.hint")}</p>
    <code>${`tail -n 1 ${outbox}`}</code>
  </aside>`;
}

function CodeStep({ state, onState, onBack }) {
  const [code, setCode] = useState("");
  const input = useRef(null);
  const attempt = useTry();
  useEffect(() => input.current?.focus(), []);
  const isDead = state.guesses === 0;
  const submit = (event) => {
    event?.preventDefault();
    attempt.run(() => tryCode(code));
  };
  const tryCode = async (vcode) => {
    try {
      await api.post("/api/user/login", { phonenum: state.phone, vcode });
      forget();
      await enter();
    } catch (error) {
      if (error.code === api.CODE.VCODE) onState(guessedWrong(state));
      if (error.isSuspension) {
        // The login has made a session for the suspended account, whose page needs the phone number.
        forget();
        setPhone(state.phone);
        return;
      }
      setCode("");
      input.current?.focus();
      throw error;
    }
  };
  const left = state.guesses < CODE_LENGTH - 1 && !isDead ? t("login.guesses_left", { count: state.guesses }) : "";
  const errors = [isDead ? t("login.no_guesses") : attempt.text, left].filter(Boolean);
  const type = (event) => setCode(digitsOf(event.target.value).slice(0, CODE_LENGTH));
  const lead = { sent_before: t("login.sent_before", { phone: state.phone }), accounts_only: t("login.accounts_only") };
  return html`<form class="stack" onSubmit=${submit}>
    <p class="lead">${lead[state.delivery] ?? t("login.sent_to", { phone: state.phone })}${" "}
      <button type="button" class="link" onClick=${onBack}>${t("login.change_phone")}</button>
    </p>
    <${Field} label=${t("login.code")} errors=${errors} className="code-field">
      ${(ties) => html`<input ...${ties} ref=${input} class="code" name="code" autocomplete="one-time-code" inputmode="numeric"
        pattern="[0-9]{6}" required value=${code} disabled=${isDead} onInput=${type} />`}
    <//>
    <button class="button button-primary button-wide" disabled=${attempt.isBusy || isDead || code.length < CODE_LENGTH}>
      ${t("login.log_in")}
    </button>
    <${Resend} state=${state} onState=${onState} isSoon=${isDead} />
    <${CodeHint} />
  </form>`;
}

export default function Login() {
  const [state, setState] = useState(readState);
  const back = () => {
    forget();
    setState(null);
  };
  return html`<main class="outside login">
    <header class="login-head">
      <span class="brand-mark brand-large"></span>
      <h1>${t("app.name")}</h1>
      <p>${t("login.claim")}</p>
    </header>
    <div class="panel">
      ${
        state
          ? html`<${CodeStep} key=${state.sentAt} state=${state} onState=${setState} onBack=${back} />`
          : html`<${PhoneStep} onSent=${setState} />`
      }
    </div>
    <${LanguagePick} />
  </main>`;
}
