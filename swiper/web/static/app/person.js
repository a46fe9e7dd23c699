// Who is logged in, stored for all tabs of this browser: they share one session cookie, which no page can read.
import { onOtherTab, read, remove, write } from "./storage.js";

const NAME = "person";

export const currentPerson = () => read(NAME);
export const setCurrentPerson = (uid) => write(NAME, uid);

// Removes `uid`, or without `uid` whoever is stored. Another person, who has logged in since, stays.
export function clearCurrentPerson(uid) {
  if (!uid || currentPerson() === uid) remove(NAME);
}

// Calls `tell` when another tab has logged somebody in or out.
export const onOtherPerson = (tell) => onOtherTab(NAME, tell);
