// Flash sales: the remaining stock and time, and the person's own ticket.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { duration, levelName, money } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { session } from "../session.js";
import { useLoaded, useStore } from "../store.js";
import { keepTicket, ticketOf, withOwnPlaces } from "../tickets.js";
import { errorText, showError } from "../notices.js";
import { useCountdown } from "./clock.js";

const REFRESH_MS = 10_000;
// How often a ticket is requested: a waiting one is served soon, one with an unpaid order may lose its place.
const POLLS_MS = { queued: 1000, ordered: REFRESH_MS };
const STATES = { queued: "sale.queued", ordered: "sale.ordered", sold_out: "sale.sold_out", released: "sale.released" };

// The person's ticket, stored over a reload, and requested until it is served.
function useTicket(sale) {
  const [ticket, setTicket] = useState(null);
  const [text, setText] = useState("");
  const look = (id) => api.get(`/api/vip/qbuy/${id}`).then(setTicket, (error) => setText(errorText(error)));
  useEffect(() => {
    const kept = ticketOf(sale);
    if (kept) look(kept);
  }, [sale.id]);
  useEffect(() => {
    const pause = POLLS_MS[ticket?.state];
    if (!pause) return undefined;
    const timer = setInterval(() => look(ticket.ticket), pause);
    return () => clearInterval(timer);
  }, [ticket?.state]);
  const queueUp = async () => {
    setText("");
    try {
      const placed = await api.post("/api/vip/qbuy", { sale_id: sale.id });
      keepTicket(sale, placed.ticket);
      setTicket(placed);
    } catch (error) {
      setText(errorText(error));
    }
  };
  return { ticket, text, queueUp };
}

// The order of a ticket, which may be paid, or released because it was not paid. It is requested again, because a
// payment changes the buyer's VIP status.
function useOrder(ticket) {
  const { vip } = useStore(session);
  const id = ticket?.state === "ordered" ? ticket.order_id : null;
  const { data } = useLoaded(async () => id && api.get(`/api/vip/orders/${id}`), [id, vip]);
  return data || null;
}

function Ticket({ state, order }) {
  if (order && order.state !== "pending") return html`<p class="ticket">${t("sale.settled")}</p>`;
  return html`<p class=${`ticket ticket-${state}`}>${t(STATES[state])}</p>`;
}

function Stock({ sale, untilStart, untilEnd }) {
  const time = untilStart > 0 ? t("sale.starts_in", { time: duration(untilStart) }) : t("sale.ends_in", { time: duration(untilEnd) });
  return html`<progress max=${sale.stock} value=${sale.left} aria-label=${t("sale.stock_label")}></progress>
    <p class="sale-facts"><span>${t("sale.left", { left: sale.left, stock: sale.stock })}</span><span>${time}</span></p>`;
}

function Offer({ sale, level, onOrder }) {
  const { ticket, text, queueUp } = useTicket(sale);
  const order = useOrder(ticket);
  const untilStart = useCountdown(Date.parse(sale.starts_at));
  const untilEnd = useCountdown(Date.parse(sale.ends_at));
  const isOver = sale.isOver || untilEnd === 0;
  const isOpen = !isOver && untilStart === 0;
  const mayQueue = isOpen && sale.left > 0 && (!ticket || ticket.state === "released" || ticket.state === "sold_out");
  return html`<li class="sale">
    <div class="sale-head">
      <h3><bdi>${sale.name}</bdi></h3>
      <strong class="sale-price">${money(sale.price)}</strong>
    </div>
    <p class="note">${t("sale.what", { level: levelName(level), count: sale.months })}</p>
    ${isOver ? html`<p class="note">${t("sale.over")}</p>` : html`<${Stock} sale=${sale} untilStart=${untilStart} untilEnd=${untilEnd} />`}
    <div role="status">${ticket && html`<${Ticket} state=${ticket.state} order=${order} />`}</div>
    ${text && html`<p class="note note-wrong" role="alert">${text}</p>`}
    ${order?.state === "pending" && html`<button class="button button-primary" onClick=${() => onOrder(order)}>${t("sale.pay")}</button>`}
    ${mayQueue && html`<button class="button button-primary" onClick=${queueUp}>${t("sale.queue_up")}</button>`}
    ${isOpen && sale.left === 0 && !ticket && html`<p class="ticket ticket-sold_out">${t("sale.sold_out")}</p>`}
  </li>`;
}

export function Sales({ first, levels, onOrder }) {
  const [offered, setOffered] = useState(first);
  useEffect(() => {
    const refresh = () => api.get("/api/vip/sales").then(setOffered, showError);
    const timer = setInterval(() => document.visibilityState === "visible" && refresh(), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const levelOf = (sale) => levels.find((one) => one.level === sale.level) ?? { level: sale.level, name: String(sale.level) };
  const sales = withOwnPlaces(offered);
  return html`<section class="panel" aria-labelledby="sales">
    <h2 id="sales">${t("sale.title")}</h2>
    ${sales.length
      ? html`<ul class="sales">${sales.map((sale) => html`<${Offer} key=${sale.id} sale=${sale} level=${levelOf(sale)} onOrder=${onOrder} />`)}</ul>`
      : html`<p class="note">${t("sale.none")}</p>`}
  </section>`;
}
