// The address's hash says which screen is open, so the server has one page and every screen can be linked to.
import { Store } from "./store.js";

function read() {
  const [name, part] = location.hash.replace(/^#\/?/, "").split("/");
  return { name: name || "deck", part: part ?? "" };
}

export const route = new Store(read());

export function go(place) {
  location.hash = `#/${place}`;
}

addEventListener("hashchange", () => route.set(read()));
