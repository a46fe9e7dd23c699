// The step of the login, phone or code, stored so that a reload does not lose it.
import { read, remove, write } from "./storage.js";

const NAME = "login";
const GUESSES = 5;
const HOUR_MS = 3_600_000;

// `{phone, region, delivery, resendAt, total, guesses}`, or null. A state that is older than an hour is dropped.
export function readState() {
  const kept = read(NAME);
  return kept && kept.sentAt > Date.now() - HOUR_MS ? kept : null;
}

export function codeSent({ phone, region, resendIn, delivery = "sent" }) {
  const resendAt = Date.now() + resendIn * 1000;
  return keep({ phone, region, delivery, sentAt: Date.now(), resendAt, total: resendIn, guesses: GUESSES });
}

// The server allows five guesses for a code and gives one answer to all failures, so the page counts them.
export const guessedWrong = (state) => keep({ ...state, guesses: Math.max(0, state.guesses - 1) });

export const waitUntil = (state, seconds) =>
  keep({ ...state, resendAt: Date.now() + seconds * 1000, total: seconds });

export const forget = () => remove(NAME);

function keep(state) {
  write(NAME, state);
  return state;
}
