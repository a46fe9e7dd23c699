// The payment of an order, and its result.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { levelName, money } from "../format.js";
import { html, useState } from "../html.js";
import { reloadMe, reloadVip } from "../session.js";
import { errorText } from "../notices.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";

const SANDBOX = "sandbox";
const STATES = { paid: "vip.paid", released: "vip.released", refund_due: "vip.refund_due" };

async function pay({ payment }) {
  if (payment.provider === SANDBOX) return api.post(payment.url);
  // The page of the payment provider, which redirects the buyer back.
  location.assign(payment.url);
  return null;
}

function Done({ order, onClose }) {
  const isPaid = order.state === "paid";
  return html`<p class=${isPaid ? "checkout-good" : "note-wrong"} role="status">
      ${isPaid && html`<${Icon} name="check" />`}${t(STATES[order.state])}
    </p>
    <div class="dialog-actions"><button class="button button-primary" onClick=${onClose}>${t("app.done")}</button></div>`;
}

export function Checkout({ order, levels, onClose }) {
  const [current, setCurrent] = useState(order);
  const [state, setState] = useState({ isBusy: false, text: "" });
  const level = levels.find((one) => one.level === order.level) ?? { level: order.level, name: String(order.level) };
  const run = async () => {
    setState({ isBusy: true, text: "" });
    try {
      const paid = await pay(current);
      if (!paid) return;
      setCurrent(paid);
      await Promise.all([reloadVip(), reloadMe()]);
      setState({ isBusy: false, text: "" });
    } catch (error) {
      setState({ isBusy: false, text: errorText(error) });
    }
  };
  return html`<${Dialog} title=${t("vip.checkout")} onClose=${onClose}>
    <dl class="facts">
      <div><dt>${t("vip.level")}</dt><dd>${levelName(level)}</dd></div>
      <div><dt>${t("vip.period")}</dt><dd>${t("vip.months", { count: order.months })}</dd></div>
      <div><dt>${t("vip.amount")}</dt><dd>${money(order.amount, order.currency)}</dd></div>
    </dl>
    ${
      current.state !== "pending"
        ? html`<${Done} order=${current} onClose=${onClose} />`
        : html`${current.payment?.provider === SANDBOX && html`<p class="hint">${t("vip.sandbox")}</p>`}
            ${state.text && html`<p class="note note-wrong" role="alert">${state.text}</p>`}
            ${!current.payment && html`<p class="note-wrong">${t("vip.no_payment")}</p>`}
            <div class="dialog-actions">
              <button class="button" onClick=${onClose}>${t("app.cancel")}</button>
              <button class="button button-primary" disabled=${state.isBusy || !current.payment} onClick=${run}>
                ${t("vip.pay", { price: money(order.amount, order.currency) })}
              </button>
            </div>`
    }
  <//>`;
}
