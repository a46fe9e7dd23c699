// The navigation around the open screen, and overlays above all screens.
import { t } from "../catalogue.js";
import { html, useEffect, useState } from "../html.js";
import { matches } from "../matches.js";
import { route } from "../router.js";
import { useStore } from "../store.js";
import { Banner } from "./banner.js";
import { Icon } from "./icon.js";
import { MatchOverlay } from "./match.js";
import { Failed, Loading } from "./states.js";
import { Upsell } from "./upsell.js";

const SCREENS = {
  deck: { icon: "layers", title: "nav.deck", load: () => import("../screens/deck.js") },
  likes: { icon: "heart", title: "nav.likes", load: () => import("../screens/likes.js") },
  hot: { icon: "flame", title: "nav.hot", load: () => import("../screens/hot.js") },
  friends: { icon: "users", title: "nav.friends", load: () => import("../screens/friends.js") },
  vip: { icon: "crown", title: "nav.vip", load: () => import("../screens/vip.js") },
  me: { icon: "user", title: "nav.me", load: () => import("../screens/me.js") },
};

function Link({ name, isOpen, count }) {
  const { icon, title } = SCREENS[name];
  return html`<a class="nav-link" href=${`#/${name}`} aria-current=${isOpen ? "page" : undefined}>
    <span class="nav-icon"><${Icon} name=${icon} />${count > 0 && html`<span class="nav-count">${count}</span>`}</span>
    <span>${t(title)}</span>
    ${count > 0 && html`<span class="hidden">${t("nav.new_matches", { count })}</span>`}
  </a>`;
}

function Screen({ name }) {
  const [state, setState] = useState({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    setState({});
    SCREENS[name].load().then(
      (module) => isCurrent && setState({ name, Content: module.default }),
      // A module that could not be fetched is an outage.
      (error) => isCurrent && setState({ name, error }),
    );
    return () => {
      isCurrent = false;
    };
  }, [name, turn]);
  if (state.error) return html`<${Failed} error=${state.error} retry=${() => setTurn(turn + 1)} />`;
  // While the new screen loads, `state` is still that of the screen before.
  if (!state.Content || state.name !== name) return html`<${Loading} />`;
  return html`<${state.Content} />`;
}

// The focus moves to the heading of the new screen, for keyboards and screen readers.
function useFocusOnHeading(name) {
  const [first] = useState(name);
  const [isMoved, setMoved] = useState(false);
  useEffect(() => {
    document.title = `${t(SCREENS[name].title)} · ${t("app.name")}`;
    if (!isMoved && name === first) return;
    setMoved(true);
    scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  }, [name]);
}

export function Frame() {
  const asked = useStore(route).name;
  const name = asked in SCREENS ? asked : "deck";
  const { unseen } = useStore(matches);
  useFocusOnHeading(name);
  const links = Object.keys(SCREENS);
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${skip}>${t("nav.skip")}</a>
    <nav class="nav" aria-label=${t("nav.label")}>
      <span class="brand"><span class="brand-mark"></span>${t("app.name")}</span>
      ${links.map((link) => {
        const count = link === "friends" ? unseen : 0;
        return html`<${Link} key=${link} name=${link} isOpen=${link === name} count=${count} />`;
      })}
    </nav>
    <div class="page">
      <${Banner} />
      <main id="main" class=${`main main-${name}`} tabindex="-1"><${Screen} name=${name} /></main>
    </div>
    <${MatchOverlay} />
    <${Upsell} />
  </div>`;
}

// The router uses the hash.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}
