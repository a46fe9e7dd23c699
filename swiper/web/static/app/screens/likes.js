// Who likes the person: a list with the permission, a number without it.
import * as api from "../api.js";
import { t } from "../catalogue.js";
import { cityName } from "../cities.js";
import { swipePerson } from "../deck.js";
import { html, useState } from "../html.js";
import { usePages } from "../paging.js";
import { Icon } from "../parts/icon.js";
import { More, Tile } from "../parts/people.js";
import { Person } from "../parts/person.js";
import { Empty, Loaded } from "../parts/states.js";
import { has, session } from "../session.js";
import { useLoaded, useStore } from "../store.js";

const SHAPES = 6;
const ANSWERS = { like: "likes.you_liked", superlike: "likes.you_liked", dislike: "likes.you_passed" };

function noteOf({ is_superlike: isSuper, answer, location }) {
  if (answer) return t(ANSWERS[answer]);
  return isSuper ? t("likes.superlike") : cityName(location);
}

function Likers() {
  const pages = usePages("/api/social/liked_me");
  const [answered, setAnswered] = useState({});
  const [open, setOpen] = useState(null);
  const answer = (person, kind) => {
    if (swipePerson(person, kind)) setAnswered((old) => ({ ...old, [person.id]: kind }));
  };
  const withAnswer = (person) => ({ ...person, answer: answered[person.id] ?? person.answer });
  return html`<${Loaded} loaded=${pages} kind="tiles" rows=${6}>
      ${({ items }) =>
        items.length
          ? html`<ul class="tiles">
                ${items.map(withAnswer).map((person) => {
                  const name = person.nickname;
                  return html`<${Tile} key=${person.id} person=${person} note=${noteOf(person)} onOpen=${() => setOpen(person)}>
                    ${!person.answer &&
                    html`<div class="tile-actions">
                      <button class="icon-button" aria-label=${t("likes.pass", { name })} onClick=${() => answer(person, "dislike")}><${Icon} name="x" /></button>
                      <button class="icon-button like" aria-label=${t("likes.like_back", { name })} onClick=${() => answer(person, "like")}><${Icon} name="heart" filled /></button>
                    </div>`}
                  <//>`;
                })}
              </ul>
              <${More} pages=${pages} />`
          : html`<${Empty} icon="heart" title=${t("likes.empty")} text=${t("likes.empty_text")} />`}
    <//>
    ${open && html`<${Person} id=${open.id} known=${open} onClose=${() => setOpen(null)} />`}`;
}

// Drawn placeholders. The server does not send who it is, so the page hides nothing.
function Hidden() {
  const loaded = useLoaded(() => api.get("/api/social/liked_me/count"));
  return html`<${Loaded} loaded=${loaded} kind="tiles" rows=${4}>
    ${({ waiting, has_more: hasMore }) => {
      const shapes = Array.from({ length: Math.min(waiting, SHAPES) }, (_, index) => index);
      const count = hasMore ? `${waiting}+` : waiting;
      return html`<section class="likes-hidden">
        <div class="shapes" aria-hidden="true">${shapes.map((index) => html`<span key=${index} class=${`shape shape-${index}`}></span>`)}</div>
        <${Empty} icon="lock" title=${waiting ? t("likes.count", { count }) : t("likes.none_yet")} text=${t("likes.locked")}>
          <a class="button button-primary" href="#/vip"><${Icon} name="crown" />${t("upsell.show")}</a>
        <//>
      </section>`;
    }}
  <//>`;
}

export default function Likes() {
  useStore(session);
  return html`<h1 class="page-title">${t("nav.likes")}</h1>
    ${has("who_liked_me") ? html`<${Likers} />` : html`<${Hidden} />`}`;
}
