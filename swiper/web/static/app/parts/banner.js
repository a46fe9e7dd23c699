// A banner that says that the server is away, and how many swipes wait.
import { t } from "../catalogue.js";
import { html } from "../html.js";
import { outbox, sendSoon } from "../outbox.js";
import { useStore } from "../store.js";
import { Icon } from "./icon.js";

export function Banner() {
  const { waiting, isAway } = useStore(outbox);
  if (!isAway || !waiting.length) return html`<div role="status" class="hidden"></div>`;
  return html`<div role="status" class="banner">
    <${Icon} name="wifi-off" />
    <span>${t("outbox.waiting", { count: waiting.length })}</span>
    <button class="banner-action" onClick=${() => sendSoon()}>${t("outbox.send_now")}</button>
  </div>`;
}
