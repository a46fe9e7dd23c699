// Starts the page and decides what it shows: the login, the missing fields of the profile, the screens, that the server
// is away, or that the account is suspended.
import { language, loadTexts, t } from "./catalogue.js";
import { fill, resetDeck } from "./deck.js";
import { html, render, useEffect, useState } from "./html.js";
import { closeMatches, openMatches } from "./matches.js";
import { closeOutbox, openOutbox } from "./outbox.js";
import { Frame } from "./parts/frame.js";
import { Failed, Loading } from "./parts/states.js";
import { Toasts } from "./parts/toasts.js";
import { route } from "./router.js";
import { isComplete, nextPage, open, session } from "./session.js";
import { useStore } from "./store.js";
import { showToast } from "./toasts.js";
import { startWorker } from "./worker.js";

const OUTSIDE = {
  login: () => import("./screens/login.js"),
  onboarding: () => import("./screens/onboarding.js"),
  away: () => import("./screens/away.js"),
  suspended: () => import("./screens/suspended.js"),
};

function Outside({ name }) {
  const [state, setState] = useState({});
  const load = () => OUTSIDE[name]().then((module) => setState({ name, Content: module.default }), (error) => setState({ error }));
  useEffect(load, [name]);
  if (state.error) return html`<main class="outside"><${Failed} error=${state.error} retry=${load} /></main>`;
  if (state.name !== name) return html`<main class="outside"><${Loading} /></main>`;
  return html`<${state.Content} />`;
}

function Place() {
  const { state, me } = useStore(session);
  if (state === "unknown") return html`<main class="outside"><${Loading} /></main>`;
  if (state === "away" || state === "suspended") return html`<${Outside} name=${state} />`;
  if (state === "out") return html`<${Outside} name="login" />`;
  if (!isComplete(me)) return html`<${Outside} name="onboarding" />`;
  return html`<${Frame} />`;
}

function Root() {
  // All texts depend on the language, so the whole page is rendered again.
  const name = useStore(language);
  return html`<div class="root" key=${name}><${Place} /><${Toasts} /></div>`;
}

let uid = null;

// These belong to one person, and start and stop with the session.
function follow({ state, me }) {
  const now = state === "in" ? me.id : null;
  if (now === uid) return;
  uid = now;
  resetDeck();
  if (!uid) {
    closeOutbox();
    closeMatches();
    return;
  }
  const dropped = openOutbox(uid);
  // While the module of the screen is loading.
  if (isComplete(me) && route.value.name === "deck") fill();
  if (dropped) showToast(t("outbox.dropped", { count: dropped }), { kind: "bad", shownMs: 12_000 });
  openMatches(uid);
  const next = nextPage();
  if (next) location.assign(next);
}

async function start() {
  session.subscribe(follow);
  const opening = open();
  await loadTexts();
  render(html`<${Root} />`, document.getElementById("app"));
  await opening;
  await startWorker();
}

start();
