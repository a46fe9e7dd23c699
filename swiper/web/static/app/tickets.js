// The own places in the queues of flash sales, kept in this browser, so that they are found again after a reload and
// when the sale is over: whoever queued up before is still served, and has an order to pay.
import { session } from "./session.js";
import { names, read, remove, write } from "./storage.js";

const KEPT_MS = 24 * 3600 * 1000;

const start = () => `ticket.${session.value.me.id}.`;

export const ticketOf = (sale) => read(start() + sale.id)?.ticket ?? null;

export function keepTicket(sale, ticket) {
  write(start() + sale.id, { ticket, sale, at: Date.now() });
}

// Those on offer, and after them those that are over where the own place may still count.
export function withOwnPlaces(sales) {
  const offered = new Set(sales.map((sale) => sale.id));
  const over = [];
  for (const name of names(start())) {
    const { sale, at } = read(name, {});
    if (!(Date.now() - at < KEPT_MS)) remove(name);
    else if (!offered.has(sale.id)) over.push({ ...sale, isOver: true });
  }
  return [...sales, ...over];
}
