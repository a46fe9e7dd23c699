// Preact with htm's templates in place of JSX, so that browsers run the source without a build.
import { h } from "../vendor/preact/preact.js";
import htm from "../vendor/htm/htm.js";

export { Fragment, render } from "../vendor/preact/preact.js";
export { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/preact/hooks.js";

export const html = htm.bind(h);

// The class attribute for those names that are not false.
export const classes = (...names) => names.filter(Boolean).join(" ");
