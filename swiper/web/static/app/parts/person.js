// A dialog with everything that may be seen of a person.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { html } from "../html.js";
import { useLoaded } from "../store.js";
import { CardFace } from "./card.js";
import { Dialog } from "./dialog.js";
import { Failed } from "./states.js";

// `known` is the card from the list. The server may show more, such as the album of a friend.
export function Person({ id, known, onClose, children }) {
  const loaded = useLoaded(() => api.get(`/api/user/${id}`), [id]);
  const card = loaded.data ?? known;
  return html`<${Dialog} className="person" title=${t("card.of", { name: known.nickname })} isTitleHidden onClose=${onClose}>
    <article class="card card-still person-card"><${CardFace} card=${card} /></article>
    ${loaded.error && html`<${Failed} error=${loaded.error} retry=${loaded.reload} />`}
    ${children}
  <//>`;
}
