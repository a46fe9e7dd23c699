/* Keeps the shell of the web client, so that it opens without the server. Answers of the API are never kept. */
const VERSION = {{ version | tojson }};
const FILES = {{ files | tojson }};
const CACHE = `swiper-${VERSION}`;
const PAGE = "/";

// Each file is checked against its digest: while servers of two releases run, the cache never mixes their files.
async function keep(cache, path) {
  const request = new Request(path, { integrity: FILES[path], cache: "no-cache" });
  const answer = await fetch(request);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  await cache.put(path, answer);
}

async function install() {
  const cache = await caches.open(CACHE);
  await Promise.all([...Object.keys(FILES).map((path) => keep(cache, path)), cache.add(PAGE)]);
}

async function drop() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("swiper-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

// The page is requested first. Without an answer, or with a 5xx, the cached page is used.
async function servePage(request) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    if (answer.status < 500) {
      if (answer.ok) await cache.put(PAGE, answer.clone());
      return answer;
    }
    return (await cache.match(PAGE)) || answer;
  } catch (error) {
    const kept = await cache.match(PAGE);
    if (kept) return kept;
    throw error;
  }
}

async function serveFile(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request)) || fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(drop()));
// The new worker waits: an open page of the old release would load screens of the new one.
self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate" && url.pathname === PAGE) event.respondWith(servePage(request));
  else if (Object.hasOwn(FILES, url.pathname)) event.respondWith(serveFile(request));
});
