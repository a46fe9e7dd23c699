// Dragging a card: pointer events become a position and, at the end, a kind of swipe or none.
const SLOP_PX = 6;
const FAR = 0.26;
const HIGH = 0.2;
const FAST_PX_PER_MS = 0.45;
const FAST_LEAST_PX = 40;

// Which swipe a drag of dx, dy means on a card of that size, or null.
export function meaningOf({ dx, dy, vx, vy }, { width, height }) {
  const isSideways = Math.abs(dx) > Math.abs(dy);
  if (!isSideways && (dy < -HIGH * height || (vy < -FAST_PX_PER_MS && dy < -FAST_LEAST_PX))) return "superlike";
  if (dx > FAR * width || (isSideways && vx > FAST_PX_PER_MS && dx > FAST_LEAST_PX)) return "like";
  if (dx < -FAR * width || (isSideways && vx < -FAST_PX_PER_MS && dx < -FAST_LEAST_PX)) return "dislike";
  return null;
}

// Calls `onMove({dx, dy})`, then `onEnd({dx, dy, vx, vy})`, or `onEnd(null)` if the drag was cancelled.
export function followDrag(element, { onMove, onEnd }) {
  let drag = null;

  const down = (event) => {
    if (!event.isPrimary || event.button !== 0 || event.target.closest("button, a")) return;
    drag = { id: event.pointerId, x: event.clientX, y: event.clientY, isMoving: false, trail: [] };
  };
  const move = (event) => {
    if (drag?.id !== event.pointerId) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.isMoving && Math.hypot(dx, dy) < SLOP_PX) return;
    if (!drag.isMoving) element.setPointerCapture(event.pointerId);
    drag.isMoving = true;
    drag.trail = [...drag.trail, { dx, dy, at: event.timeStamp }].slice(-6);
    onMove({ dx, dy });
  };
  const up = (event) => {
    if (drag?.id !== event.pointerId) return;
    const { isMoving, trail } = drag;
    drag = null;
    if (isMoving) onEnd(event.type === "pointerup" ? { ...trail.at(-1), ...speedOf(trail, event.timeStamp) } : null);
  };

  const handlers = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up };
  for (const [name, handler] of Object.entries(handlers)) element.addEventListener(name, handler);
  return () => {
    for (const [name, handler] of Object.entries(handlers)) element.removeEventListener(name, handler);
  };
}

// The speed in pixels per millisecond over the last events; 0 if the pointer rested before it was lifted.
function speedOf(trail, now) {
  const [first, last] = [trail[0], trail.at(-1)];
  const passed = last.at - first.at;
  if (!passed || now - last.at > 80) return { vx: 0, vy: 0 };
  return { vx: (last.dx - first.dx) / passed, vy: (last.dy - first.dy) / passed };
}
