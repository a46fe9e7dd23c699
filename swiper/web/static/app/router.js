// The hash of the URL names the open screen: the server has one page, and each screen has a link.
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
