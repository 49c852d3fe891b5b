// Keeps the page for checking QR codes at hand, so that it also opens without a network.
"use strict";

const SHELF = "dauso-offline-1";
const KEPT = ["/verify-offline", "/.well-known/dauso-copy-keys.json", "/static/offline.js", "/static/vendor/jsQR.js",
  "/static/vendor/bootstrap.min.css", "/static/vendor/htmx.min.js", "/static/site.css", "/static/seal.svg"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELF).then((shelf) => shelf.addAll(KEPT)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
// The network first: keys may have been revoked; what was kept only when there is none.
self.addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.method !== "GET" || !KEPT.includes(path)) return;
  event.respondWith(
    fetch(event.request)
      .then((answer) => {
        const copy = answer.clone();
        if (answer.ok) caches.open(SHELF).then((shelf) => shelf.put(event.request, copy));
        return answer;
      })
      .catch(() => caches.match(event.request, { ignoreSearch: true })),
  );
});
