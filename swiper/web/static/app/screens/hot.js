// The ranking.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { cityName } from "../cities.js";
import { html, useState } from "../html.js";
import { Badge, Face } from "../parts/face.js";
import { Person } from "../parts/person.js";
import { Empty, Loaded } from "../parts/states.js";
import { useLoaded } from "../store.js";

function Place({ place: { rank, score, user }, onOpen }) {
  return html`<li>
    <button class="rank" onClick=${() => onOpen(user)}>
      <span class=${rank <= 3 ? `rank-number rank-${rank}` : "rank-number"}>${rank}</span>
      <${Face} person=${user} />
      <span class="rank-text">
        <span class="tile-name"><bdi>${user.nickname}</bdi>${user.age !== null && html`<span>${user.age}</span>`}<${Badge} vip=${user.vip} /></span>
        <small>${cityName(user.location)}</small>
      </span>
      <span class="rank-score">${t("hot.points", { score })}</span>
    </button>
  </li>`;
}

export default function Hot() {
  const loaded = useLoaded(() => api.get("/api/social/hot"));
  const [open, setOpen] = useState(null);
  return html`<h1 class="page-title">${t("nav.hot")}</h1>
    <p class="page-lead">${t("hot.lead")}</p>
    <${Loaded} loaded=${loaded} rows=${8}>
      ${(places) =>
        places.length
          ? html`<ol class="ranks">${places.map((place) => html`<${Place} key=${place.user.id} place=${place} onOpen=${setOpen} />`)}</ol>`
          : html`<${Empty} icon="flame" title=${t("hot.empty")} text=${t("hot.empty_text")} />`}
    <//>
    ${open && html`<${Person} id=${open.id} known=${open} onClose=${() => setOpen(null)} />`}`;
}
