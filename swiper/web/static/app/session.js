// The person who is logged in, and what their VIP level allows.
import * as api from "./api.js";
import { t } from "./catalogue.js";
import { clearCurrentPerson, currentPerson, onOtherPerson, setCurrentPerson } from "./person.js";
import { showToast } from "./toasts.js";
import { Store } from "./store.js";

// state: "unknown" at the start, "out", "in", "away" while the server does not answer, or "suspended" until `until`.
// `phone` is the number of a suspended account if this page knows it, since suspended people cannot read a profile.
export const session = new Store({ state: "unknown", me: null, vip: null, until: null, phone: null });

const needed = ["sex", "birthday", "location"];

export const isComplete = (me) => needed.every((name) => me[name]);
export const has = (permission) => session.value.vip?.permissions.includes(permission) ?? false;
export const quotaLeft = (kind) => session.value.vip?.quotas[kind].left ?? null;

// A cached page may be older than the login, so the stored person counts as well as the cookie.
export async function open() {
  if (document.documentElement.dataset.hasCookie !== "yes" && !currentPerson()) {
    session.set({ state: "out" });
    return;
  }
  try {
    const [me, vip] = await Promise.all([api.get("/api/user/profile"), api.get("/api/vip/me")]);
    setCurrentPerson(me.id);
    session.set({ state: "in", me, vip });
  } catch (error) {
    if (error.code === api.CODE.LOGIN) session.set({ state: "out" });
    else if (!error.isSuspension) session.set({ state: "away", error });
  }
}

export function enter() {
  document.documentElement.dataset.hasCookie = "yes";
  return open();
}

export const setMe = (me) => session.set({ me });
export const reloadMe = async () => session.set({ me: await api.get("/api/user/profile") });
export const reloadVip = async () => session.set({ vip: await api.get("/api/vip/me") });

// Counts a used or returned swipe at once. The next numbers from the server replace it.
export function countLocally(kind, change) {
  const { vip } = session.value;
  const quota = vip?.quotas[kind];
  if (!quota || quota.left === null) return;
  const counted = { ...quota, used: quota.used + change, left: Math.max(0, quota.left - change) };
  session.set({ vip: { ...vip, quotas: { ...vip.quotas, [kind]: counted } } });
}

export function leave() {
  document.documentElement.dataset.hasCookie = "no";
  clearCurrentPerson(session.value.me?.id);
  session.set({ state: "out", me: null, vip: null, until: null, phone: null });
}

api.onSessionEnd(() => {
  if (session.value.state === "in") showToast(t("login.session_ended"), { kind: "bad" });
  leave();
});

api.onSuspension((until) => {
  const { me, phone } = session.value;
  session.set({ state: "suspended", until, phone: me?.phone ?? phone, me: null, vip: null });
});

export const setPhone = (phone) => session.set({ phone });

// The cookie belongs to another person now, so this tab starts again for that person.
onOtherPerson(() => {
  if (currentPerson() !== (session.value.me?.id ?? null)) location.reload();
});

// The page of the operator's desk that redirected here for a login; null for other URLs, such as other sites.
export function nextPage() {
  const wanted = new URLSearchParams(location.search).get("next");
  if (!wanted?.startsWith("/admin")) return null;
  const url = new URL(wanted, location.origin);
  const isAdmin = url.pathname === "/admin" || url.pathname.startsWith("/admin/");
  return url.origin === location.origin && isAdmin ? url.pathname + url.search : null;
}
