// The person's tickets in flash sales, stored in this browser. They are needed after a reload, and after the end of the
// sale: those who queued up before the end are still served, and then have an order to pay.
import { session } from "./session.js";
import { names, read, remove, write } from "./storage.js";

const KEPT_MS = 24 * 3600 * 1000;

const start = () => `ticket.${session.value.me.id}.`;

export const ticketOf = (sale) => read(start() + sale.id)?.ticket ?? null;

export function keepTicket(sale, ticket) {
  write(start() + sale.id, { ticket, sale, at: Date.now() });
}

// The open sales, followed by those that are over in which the person has a ticket.
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
