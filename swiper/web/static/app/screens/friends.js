// The list of friends, newest first, with a button to unfriend.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { cityName } from "../cities.js";
import { day } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { matches, seeAll } from "../matches.js";
import { usePages } from "../paging.js";
import { Confirm } from "../parts/dialog.js";
import { Icon } from "../parts/icon.js";
import { More, Tile } from "../parts/people.js";
import { Person } from "../parts/person.js";
import { Empty, Loaded } from "../parts/states.js";
import { useStore } from "../store.js";
import { showError } from "../notices.js";
import { showToast } from "../toasts.js";

function useUnfriend(onGone) {
  const [isBusy, setBusy] = useState(false);
  const run = async (friend) => {
    setBusy(true);
    try {
      await api.post("/api/social/unfriend", { sid: friend.id });
      showToast(t("friends.ended", { name: friend.nickname }));
      onGone(friend.id);
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  return { isBusy, run };
}

function Friend({ friend, onClose, onGone }) {
  const [isAsking, setAsking] = useState(false);
  const { isBusy, run } = useUnfriend(onGone);
  return html`<${Person} id=${friend.id} known=${friend} onClose=${onClose}>
      <p class="person-note">${t("friends.since", { day: day(friend.matched_at) })}</p>
      <button class="button button-danger-quiet" onClick=${() => setAsking(true)}><${Icon} name="user-x" />${t("friends.unmatch")}</button>
    <//>
    ${isAsking &&
    html`<${Confirm} title=${t("friends.unmatch")} text=${t("friends.unmatch_text", { name: friend.nickname })}
      label=${t("friends.unmatch")} isBusy=${isBusy} onYes=${() => run(friend)} onNo=${() => setAsking(false)} />`}`;
}

export default function Friends() {
  const pages = usePages("/api/social/friends");
  const [open, setOpen] = useState(null);
  const { unseen } = useStore(matches);
  useEffect(() => {
    // A new match while the list is open is added to it.
    if (unseen && pages.data) pages.reload();
    seeAll();
  }, [unseen]);
  const onGone = (id) => {
    setOpen(null);
    pages.drop(id);
  };
  return html`<h1 class="page-title">${t("nav.friends")}</h1>
    <${Loaded} loaded=${pages} kind="tiles" rows=${6}>
      ${({ items }) =>
        items.length
          ? html`<ul class="tiles">
                ${items.map(
                  (friend) => html`<${Tile} key=${friend.id} person=${friend} note=${cityName(friend.location)} onOpen=${() => setOpen(friend)} />`,
                )}
              </ul>
              <${More} pages=${pages} />`
          : html`<${Empty} icon="users" title=${t("friends.empty")} text=${t("friends.empty_text")}>
              <a class="button button-primary" href="#/deck">${t("friends.to_deck")}</a>
            <//>`}
    <//>
    ${open && html`<${Friend} friend=${open} onClose=${() => setOpen(null)} onGone=${onGone} />`}`;
}
