// The dialog for a missing permission or a used-up quota.
import { t } from "../catalogue.js";
import { clock } from "../format.js";
import { html } from "../html.js";
import { go } from "../router.js";
import { session } from "../session.js";
import { useStore } from "../store.js";
import { dropOffer, wanted } from "../upsell.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";

const TEXTS = {
  superlike: "upsell.superlike",
  rewind: "upsell.rewind",
  who_liked_me: "upsell.who_liked_me",
  anylocation: "upsell.anylocation",
  unlimit_like: "upsell.unlimit_like",
  superlike_quota: "upsell.superlike_quota",
  rewind_quota: "upsell.rewind_quota",
};

export function Upsell() {
  const { what } = useStore(wanted);
  const { vip } = useStore(session);
  if (!what || !vip) return null;
  const show = () => {
    dropOffer();
    go("vip");
  };
  const isQuota = what.endsWith("_quota");
  return html`<${Dialog} className="upsell" title=${t(isQuota ? "upsell.quota_title" : "upsell.title")} onClose=${dropOffer}>
    <span class="upsell-icon"><${Icon} name=${isQuota ? "timer" : "crown"} /></span>
    <p>${t(TEXTS[what], { time: clock(vip.resets_at) })}</p>
    <div class="dialog-actions">
      <button class="button" onClick=${dropOffer}>${t("upsell.later")}</button>
      ${!isQuota && html`<button class="button button-primary" onClick=${show}>${t("upsell.show")}</button>`}
    </div>
  <//>`;
}
