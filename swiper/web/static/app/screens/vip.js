// The person's VIP status, what each level gives, and how to buy one.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { duration, day, clock, levelName, money } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Buy } from "../parts/buy.js";
import { useCountdown } from "../parts/clock.js";
import { Checkout } from "../parts/checkout.js";
import { Icon } from "../parts/icon.js";
import { Sales } from "../parts/sales.js";
import { Loaded } from "../parts/states.js";
import { reloadVip, session } from "../session.js";
import { useLoaded, useStore } from "../store.js";
import { showError } from "../notices.js";

const QUOTAS = { like: "vip.quota_like", superlike: "vip.quota_superlike", rewind: "vip.quota_rewind" };
const PERMISSIONS = {
  vipflag: "vip.vipflag",
  superlike: "vip.superlike",
  rewind: "vip.rewind",
  anylocation: "vip.anylocation",
  unlimit_like: "vip.unlimit_like",
  who_liked_me: "vip.who_liked_me",
};

function Quota({ kind, quota: { limit, left }, isAllowed }) {
  const shown = !isAllowed ? t("vip.not_yours") : limit === null ? t("vip.no_limit") : t("vip.left_of", { left, limit });
  const [most, value] = limit === null ? [1, 1] : [limit || 1, isAllowed ? left : 0];
  return html`<li class="quota">
    <span>${t(QUOTAS[kind])}</span><strong>${shown}</strong>
    <progress max=${most} value=${value} aria-label=${t(QUOTAS[kind])}></progress>
  </li>`;
}

function VipStatus({ vip }) {
  const seconds = useCountdown(Date.parse(vip.resets_at));
  const isAllowed = (kind) => kind === "like" || vip.permissions.includes(kind);
  useEffect(() => {
    // A new day has begun, with new quotas.
    if (seconds === 0) reloadVip().catch(showError);
  }, [seconds === 0]);
  return html`<section class="panel vip-status" aria-labelledby="vip-status">
    <div class="vip-status-head">
      <span class=${`level-mark level-${vip.level}`}><${Icon} name="crown" /></span>
      <div>
        <h2 id="vip-status">${levelName(vip)}</h2>
        <p class="note">${vip.expires_at ? t("vip.until", { day: day(vip.expires_at) }) : t("vip.no_level")}</p>
      </div>
    </div>
    <h3>${t("vip.today")}</h3>
    <ul class="quotas">
      ${Object.entries(vip.quotas).map(([kind, quota]) => html`<${Quota} key=${kind} kind=${kind} quota=${quota} isAllowed=${isAllowed(kind)} />`)}
    </ul>
    <p class="note"><${Icon} name="timer" />${t("vip.resets", { time: clock(vip.resets_at), left: duration(seconds) })}</p>
  </section>`;
}

function Grid({ levels, own }) {
  return html`<section class="panel" aria-labelledby="levels">
    <h2 id="levels">${t("vip.levels")}</h2>
    <div class="grid-scroll" tabindex="0" role="group" aria-labelledby="levels">
      <table class="grid">
        <thead>
          <tr>
            <th scope="col">${t("vip.permission")}</th>
            ${levels.map((level) => html`<th key=${level.level} scope="col" class=${level.level === own ? "grid-own" : ""}>
              ${levelName(level)}<small>${level.price ? t("vip.per_month", { price: money(level.price) }) : t("vip.free")}</small>
            </th>`)}
          </tr>
        </thead>
        <tbody>
          ${Object.entries(PERMISSIONS).map(
            ([name, key]) => html`<tr key=${name}>
              <th scope="row">${t(key)}</th>
              ${levels.map((level) => {
                const isIn = level.permissions.includes(name);
                return html`<td key=${level.level} class=${level.level === own ? "grid-own" : ""}>
                  ${isIn ? html`<${Icon} name="check" /><span class="hidden">${t("vip.yes")}</span>` : html`<span aria-hidden="true">–</span><span class="hidden">${t("vip.no")}</span>`}
                </td>`;
              })}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

export default function Vip() {
  const { vip } = useStore(session);
  // Loaded together: sales that came later would move the choice of a level while somebody touches it.
  const offers = useLoaded(async () => {
    const [levels, sales] = await Promise.all([api.get("/api/vip/levels"), api.get("/api/vip/sales")]);
    return { levels, sales };
  });
  const [order, setOrder] = useState(null);
  useEffect(() => {
    reloadVip().catch(showError);
  }, []);
  return html`<h1 class="page-title">${t("nav.vip")}</h1>
    <div class="columns">
      <${VipStatus} vip=${vip} />
      <${Loaded} loaded=${offers}>
        ${({ levels, sales }) => html`<${Sales} first=${sales} levels=${levels} onOrder=${setOrder} />
          <${Buy} levels=${levels.filter((level) => level.price)} own=${vip.level} onOrder=${setOrder} />
          <${Grid} levels=${levels} own=${vip.level} />`}
      <//>
    </div>
    ${order && html`<${Checkout} order=${order} levels=${offers.data.levels} onClose=${() => setOrder(null)} />`}`;
}
