// The avatar of a person. Without one, or if it does not load: the initial on a colour that depends on the id.
import { t } from "../catalogue.js";
import { classes, html, useEffect, useState } from "../html.js";

const COLOURS = 6;

const initialOf = (name) => ([...(name ?? "")][0] ?? "?").toUpperCase();

function colourOf(id) {
  const digits = String(id ?? 0).slice(-4);
  return Number(digits) % COLOURS;
}

export function Face({ person, url = person.avatar, isNamed = false, className = "" }) {
  const [isBroken, setBroken] = useState(false);
  useEffect(() => setBroken(false), [url]);
  const label = isNamed ? t("card.photo_of", { name: person.nickname }) : "";
  if (url && !isBroken) {
    const broken = () => setBroken(true);
    return html`<img class=${classes("face", className)} src=${url} alt=${label} draggable=${false} onError=${broken} />`;
  }
  const role = isNamed ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const shape = classes("face", "face-initial", `face-colour-${colourOf(person.id)}`, className);
  return html`<span class=${shape} ...${role}><span class="initial" aria-hidden="true">${initialOf(person.nickname)}</span></span>`;
}

export function Badge({ vip }) {
  if (!vip?.badge) return null;
  return html`<span class="vip-badge" title=${t("card.vip")}>${t("card.vip")}</span>`;
}
