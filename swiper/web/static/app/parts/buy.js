// The choice of a level and a number of months.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { levelName, money } from "../format.js";
import { html, useState } from "../html.js";
import { showError } from "../notices.js";
import { Choice } from "./form.js";

const MONTHS = [1, 3, 6, 12];

export function Buy({ levels, own, onOrder }) {
  const top = levels.at(-1);
  const [level, setLevel] = useState(levels.find((one) => one.level > own)?.level ?? top?.level);
  const [months, setMonths] = useState(1);
  const [isBusy, setBusy] = useState(false);
  const chosen = levels.find((one) => one.level === level);
  if (!chosen) return null;
  const order = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      onOrder(await api.post("/api/vip/orders", { level, months }));
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  const levelOptions = levels.map((one) => ({ value: one.level, label: levelName(one) }));
  const monthOptions = MONTHS.map((count) => ({ value: count, label: t("vip.months", { count }) }));
  return html`<form class="panel stack" onSubmit=${order} aria-labelledby="buy">
    <h2 id="buy">${t("vip.buy")}</h2>
    <${Choice} legend=${t("vip.level")} name="level" options=${levelOptions} value=${level} onChange=${setLevel} />
    <${Choice} legend=${t("vip.period")} name="months" options=${monthOptions} value=${months} onChange=${setMonths} />
    <button class="button button-primary button-wide" disabled=${isBusy}>${t("vip.order", { price: money(chosen.price * months) })}</button>
  </form>`;
}
