// Requests of the JSON API. They resolve to the `data` of the envelope; an error is an ApiError, no answer Unreachable.
import { language } from "./catalogue.js";

export const CODE = {
  VCODE: 1000,
  LOGIN: 1001,
  PROFILE: 1002,
  PERMISSION: 1004,
  RATE: 1006,
  NOTHING_TO_REWIND: 1007,
  ALREADY_SWIPED: 1008,
  NOT_FOUND: 1009,
  BANNED: 1010,
  UNAVAILABLE: 1011,
  SOLD_OUT: 1012,
  CHALLENGE: 1016,
};

const TIMEOUT_SECONDS = 12;
const endListeners = new Set();
const suspensionListeners = new Set();

export class ApiError extends Error {
  constructor(status, envelope, retryAfter) {
    super(envelope.message);
    this.status = status;
    this.code = envelope.code;
    this.data = envelope.data;
    this.fields = envelope.errors ?? {};
    this.retryAfter = retryAfter;
  }

  // A suspended account. The answer to a banned address has the same code, but no end.
  get isSuspension() {
    return this.code === CODE.BANNED && this.data !== null && "until" in this.data;
  }

  // The same request may succeed later.
  get isOutage() {
    return this.status >= 500;
  }
}

export class Unreachable extends Error {
  get isOutage() {
    return true;
  }
}

// `listener` is called when the server answers that the session has ended.
export function onSessionEnd(listener) {
  endListeners.add(listener);
}

// `listener` is called with the end of the suspension, null for none, when the account is suspended.
export function onSuspension(listener) {
  suspensionListeners.add(listener);
}

async function openEnvelope(answer) {
  let envelope;
  try {
    envelope = await answer.json();
  } catch (error) {
    // A proxy before the service has answered.
    throw new Unreachable(`${answer.status}: ${error.name}`);
  }
  if (answer.ok) return envelope.data;
  const error = new ApiError(answer.status, envelope, Number(answer.headers.get("Retry-After")) || 0);
  if (error.code === CODE.LOGIN) for (const listener of endListeners) listener();
  if (error.isSuspension) for (const listener of suspensionListeners) listener(error.data.until);
  throw error;
}

async function send(method, path, body) {
  const headers = { "Accept-Language": language.value };
  if (body) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
  } catch (error) {
    throw new Unreachable(error.name);
  }
  return openEnvelope(answer);
}

export const get = (path) => send("GET", path);
export const post = (path, body = {}) => send("POST", path, body);
export const del = (path, body) => send("DELETE", path, body);

// Sends a file, with progress from 0 to 1, which fetch does not have.
export function upload(path, field, blob, onProgress) {
  const form = new FormData();
  form.append(field, blob, `${field}.jpg`);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept-Language", language.value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Unreachable("upload"));
    request.onload = () => {
      const headers = { "Retry-After": request.getResponseHeader("Retry-After") ?? "" };
      resolve(openEnvelope(new Response(request.responseText, { status: request.status, headers })));
    };
    request.send(form);
  });
}
