// A card of the deck: the front card can be dragged, swiped cards fly out.
import { t } from "../catalogue.js";
import { dropLeaving } from "../deck.js";
import { followDrag, meaningOf } from "../gestures.js";
import { classes, html, useEffect, useLayoutEffect, useRef } from "../html.js";
import { isCalm } from "../look.js";
import { CardFace } from "./card.js";

const TILT_PX_PER_DEGREE = 18;
const FULL_STAMP_PX = 110;
const FLIGHT_MS = 280;
const FADE_MS = 120;
const STAMPS = { like: "--like", dislike: "--nope", superlike: "--super" };
// The position to which a card flies out, in widths and heights of the window, and its rotation in degrees.
const WAYS = { like: [1.2, 0.05, 22], dislike: [-1.2, 0.05, -22], superlike: [0, -1.2, 0] };

function place(element, { dx, dy }) {
  element.style.transform = `translate(${dx}px, ${dy}px) rotate(${dx / TILT_PX_PER_DEGREE}deg)`;
  const isUp = -dy > Math.abs(dx);
  const strength = { like: isUp ? 0 : dx, dislike: isUp ? 0 : -dx, superlike: isUp ? -dy : 0 };
  for (const [kind, name] of Object.entries(STAMPS)) {
    element.style.setProperty(name, Math.max(0, Math.min(1, strength[kind] / FULL_STAMP_PX)));
  }
}

function clear(element) {
  element.style.removeProperty("transform");
  for (const name of Object.values(STAMPS)) element.style.removeProperty(name);
}

function flyOut(element, kind) {
  element.style.setProperty(STAMPS[kind], 1);
  if (isCalm()) return element.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FADE_MS, fill: "forwards" });
  const [x, y, tilt] = WAYS[kind];
  const end = `translate(${x * innerWidth}px, ${y * innerHeight}px) rotate(${tilt}deg)`;
  const frames = [{ transform: element.style.transform || "none" }, { transform: end }];
  return element.animate(frames, { duration: FLIGHT_MS, easing: "ease-in", fill: "forwards" });
}

function useDrag(ref, isFront, onSwipe) {
  useEffect(() => {
    const element = ref.current;
    if (!isFront) return undefined;
    return followDrag(element, {
      onMove: (drag) => {
        element.classList.add("card-held");
        place(element, drag);
      },
      onEnd: (drag) => {
        element.classList.remove("card-held");
        const kind = drag && meaningOf(drag, element.getBoundingClientRect());
        if (!kind || !onSwipe(kind)) clear(element);
      },
    });
  }, [isFront, onSwipe]);
}

// `depth` is 0 for the front card; `leaving` is the kind of swipe with which the card flies out.
export function DeckCard({ card, depth, leaving, onSwipe, isPlaying }) {
  const ref = useRef(null);
  const isFront = depth === 0 && !leaving;
  useDrag(ref, isFront, onSwipe);
  useLayoutEffect(() => {
    if (!leaving) return undefined;
    const flight = flyOut(ref.current, leaving);
    const end = () => dropLeaving(card.id);
    flight.finished.then(end, end);
    return () => flight.cancel();
  }, [leaving]);
  useEffect(() => {
    // After an undo the card is at its former position.
    if (!leaving) clear(ref.current);
  }, [leaving]);
  const name = classes("card deck-card", leaving ? "card-leaving" : `card-depth-${depth}`);
  return html`<article ref=${ref} class=${name} aria-hidden=${isFront ? undefined : "true"} inert=${!isFront}>
    <${CardFace} card=${card} isFront=${isFront} isPlaying=${isFront && isPlaying} />
    <span class="stamp stamp-like" aria-hidden="true">${t("deck.stamp_like")}</span>
    <span class="stamp stamp-nope" aria-hidden="true">${t("deck.stamp_nope")}</span>
    <span class="stamp stamp-super" aria-hidden="true">${t("deck.stamp_super")}</span>
  </article>`;
}
