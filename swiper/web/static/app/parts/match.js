// The overlay for a new match.
import { t } from "../catalogue.js";
import { html, useEffect } from "../html.js";
import { dropNews, matches } from "../matches.js";
import { go } from "../router.js";
import { session } from "../session.js";
import { useStore } from "../store.js";
import { Dialog } from "./dialog.js";
import { Face } from "./face.js";
import { Icon } from "./icon.js";

const BUZZ_MS = [60, 60, 120];

function Overlay({ friend, me }) {
  useEffect(() => {
    if (me.vibration) navigator.vibrate?.(BUZZ_MS);
  }, [friend.id]);
  const show = () => {
    dropNews();
    go("friends");
  };
  return html`<${Dialog} className="match" title=${t("match.title")} onClose=${dropNews}>
    <div class="match-faces">
      <${Face} person=${me} isNamed className="match-mine" />
      <span class="match-heart"><${Icon} name="heart" filled /></span>
      <${Face} person=${friend} isNamed className="match-theirs" />
    </div>
    <p class="match-text">${t("match.text", { name: friend.nickname })}</p>
    <div class="match-actions">
      <button class="button button-primary" autofocus onClick=${show}>${t("match.show_friends")}</button>
      <button class="button" onClick=${dropNews}>${t("match.go_on")}</button>
    </div>
  <//>`;
}

export function MatchOverlay() {
  const [friend] = useStore(matches).news;
  const { me } = useStore(session);
  return friend && me ? html`<${Overlay} key=${friend.id} friend=${friend} me=${me} />` : null;
}
