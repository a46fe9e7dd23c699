// Lists of people as tiles or rows.
import { t } from "../catalogue.js";
import { html } from "../html.js";
import { Badge, Face } from "./face.js";

export function Tile({ person, note, onOpen, children }) {
  return html`<li class="tile">
    <button class="tile-open" onClick=${onOpen}>
      <${Face} person=${person} />
      <span class="tile-text">
        <span class="tile-name"><bdi>${person.nickname}</bdi>${person.age !== null && html`<span>${person.age}</span>`}<${Badge} vip=${person.vip} /></span>
        ${note && html`<small>${note}</small>`}
      </span>
    </button>
    ${children}
  </li>`;
}

export function More({ pages }) {
  if (!pages.data.hasMore) return null;
  return html`<button class="button button-more" disabled=${pages.isBusy} onClick=${pages.more}>${t("app.more")}</button>`;
}
