// Who is logged in, as all tabs of this browser know it: they share one session cookie, which no page can read.
import { onOtherTab, read, remove, write } from "./storage.js";

const NAME = "person";

export const whoIsHere = () => read(NAME);
export const arrive = (uid) => write(NAME, uid);

// Somebody else who has come meanwhile stays; without `uid` it is whoever was remembered whose session has ended.
export function depart(uid) {
  if (!uid || whoIsHere() === uid) remove(NAME);
}

// `tell` is called when another tab has logged somebody in or out.
export const onOtherPerson = (tell) => onOtherTab(NAME, tell);
