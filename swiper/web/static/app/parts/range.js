// A range with two bounds: two native sliders on one track, so that keys and screen readers work.
import { html, useId, useLayoutEffect, useRef } from "../html.js";

export function DoubleRange({ legend, least, most, low, high, lowLabel, highLabel, text, onChange }) {
  const id = useId();
  const track = useRef(null);
  useLayoutEffect(() => {
    const part = (value) => (value - least) / (most - least);
    track.current.style.setProperty("--low", part(low));
    track.current.style.setProperty("--high", part(high));
  }, [low, high, least, most]);
  const moveLow = (event) => onChange(Math.min(Number(event.target.value), high), high);
  const moveHigh = (event) => onChange(low, Math.max(Number(event.target.value), low));
  // If both are at the upper end, only the lower one can move, so it must be on top.
  const isLowAbove = low > (least + most) / 2;
  return html`<fieldset class="range">
    <legend id=${id}>${legend}</legend>
    <output class="range-text">${text}</output>
    <div class="range-track" ref=${track}>
      <input type="range" class=${isLowAbove ? "range-above" : ""} min=${least} max=${most} value=${low} aria-label=${lowLabel} onInput=${moveLow} />
      <input type="range" min=${least} max=${most} value=${high} aria-label=${highLabel} onInput=${moveHigh} />
    </div>
  </fieldset>`;
}
