// The card of a person: the photo fills it, the text is over the lower part of the photo.
import { t } from "../catalogue.js";
import { cityName } from "../cities.js";
import { classes, html, useEffect, useState } from "../html.js";
import { isCalm } from "../look.js";
import { picturesOf } from "../pictures.js";
import { Badge, Face } from "./face.js";
import { Icon } from "./icon.js";

const STAY_MS = 3500;

// The front card shows the photos of the album in turn, unless the person has switched that off.
function usePictures(card, isPlaying) {
  const pictures = picturesOf(card);
  const [index, setIndex] = useState(0);
  useEffect(() => setIndex(0), [card.id]);
  useEffect(() => {
    if (!isPlaying || pictures.length < 2 || isCalm()) return undefined;
    const timer = setInterval(() => setIndex((old) => (old + 1) % pictures.length), STAY_MS);
    return () => clearInterval(timer);
  }, [card.id, isPlaying, pictures.length]);
  const step = (by) => setIndex((old) => (old + by + pictures.length) % pictures.length);
  return { url: pictures[index], index, count: pictures.length, step };
}

function Dots({ pictures: { count, index, step } }) {
  if (count < 2) return null;
  const dots = Array.from({ length: count }, (_, at) => html`<span key=${at} class=${at === index ? "dot dot-on" : "dot"}></span>`);
  return html`<div class="dots">${dots}</div>
    <button class="photo-step photo-back" aria-label=${t("card.photo_back")} onClick=${() => step(-1)}><${Icon} name="chevron-left" /></button>
    <button class="photo-step photo-on" aria-label=${t("card.photo_on")} onClick=${() => step(1)}><${Icon} name="chevron-right" /></button>`;
}

export function CardFace({ card, isPlaying = false, isFront = true, level = 2 }) {
  const pictures = usePictures(card, isPlaying);
  return html`<${Face} person=${card} url=${pictures.url ?? ""} isNamed=${isFront} className="card-photo" />
    ${isFront && html`<${Dots} pictures=${pictures} />`}
    <div class="card-info">
      <${level === 2 ? "h2" : "h3"} class="card-name">
        <bdi>${card.nickname}</bdi>${card.age !== null && html`<span class="card-age">${card.age}</span>`}<${Badge} vip=${card.vip} />
      <//>
      ${card.location && html`<p class="card-city"><${Icon} name="map-pin" /><span>${cityName(card.location)}</span></p>`}
      ${card.bio && html`<p class="card-bio">${card.bio}</p>`}
    </div>`;
}

export function Preview({ card, className = "" }) {
  return html`<article class=${classes("card card-still", className)} aria-label=${t("profile.preview")}>
    <${CardFace} card=${card} level=${3} />
  </article>`;
}
