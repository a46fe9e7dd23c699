// Shown while the server does not answer: the number of stored swipes, and a button to try again.
import { t } from "../catalogue.js";
import { html, useEffect } from "../html.js";
import { Icon } from "../parts/icon.js";
import { open, session } from "../session.js";
import { names } from "../storage.js";
import { useStore } from "../store.js";
import { errorText } from "../notices.js";

const EVERY_MS = 5000;

export default function Away() {
  useEffect(() => {
    const timer = setInterval(open, EVERY_MS);
    addEventListener("online", open);
    return () => {
      clearInterval(timer);
      removeEventListener("online", open);
    };
  }, []);
  const { error } = useStore(session);
  const count = names("outbox.").length;
  return html`<main class="outside">
    <div class="state" role="status">
      <span class="state-icon"><${Icon} name="wifi-off" /></span>
      <h1>${t("away.title")}</h1>
      <p>${errorText(error)} ${t("away.text")}</p>
      ${count > 0 && html`<p class="banner">${t("outbox.waiting", { count })}</p>`}
      <button class="button button-primary" onClick=${open}><${Icon} name="refresh-cw" />${t("app.retry")}</button>
    </div>
  </main>`;
}
