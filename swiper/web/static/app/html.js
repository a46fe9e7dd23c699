// Preact with htm's templates in place of JSX, so that the source is what the browser runs.
import { h } from "../vendor/preact/preact.js";
import htm from "../vendor/htm/htm.js";

export { Fragment, render } from "../vendor/preact/preact.js";
export { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/preact/hooks.js";

export const html = htm.bind(h);

// A list of classes without those that are false.
export const classes = (...names) => names.filter(Boolean).join(" ");
