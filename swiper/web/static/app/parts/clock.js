// Countdowns: the seconds until a time, and the ring around "send again".
import { html, useEffect, useState } from "../html.js";

const TICK_MS = 250;

// The seconds until `moment` (milliseconds since 1970), down to 0.
export function useCountdown(moment) {
  const left = () => Math.max(0, (moment - Date.now()) / 1000);
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    if (!left()) return undefined;
    const timer = setInterval(() => {
      setSeconds(left());
      if (!left()) clearInterval(timer);
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [moment]);
  return seconds;
}

export function Ring({ seconds, total }) {
  const part = Math.min(1, seconds / total);
  return html`<svg class="ring" viewBox="0 0 40 40" aria-hidden="true">
    <circle class="ring-track" cx="20" cy="20" r="17" />
    <circle class="ring-left" cx="20" cy="20" r="17" pathLength="1" stroke-dasharray=${`${part} 1`} />
    <text x="20" y="20">${Math.ceil(seconds)}</text>
  </svg>`;
}
