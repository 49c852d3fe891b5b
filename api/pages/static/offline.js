// Checks the signed QR code of a certified copy in the browser: no network once the page is loaded.
// The payload is a COSE_Sign1 (RFC 9052) after the # of the address; docs/flows/verify-offline.md.
"use strict";

const PAYLOAD = { unit: 1, number: 2, volume: 3, day: 4, digest: 5, size: 6 };
const COSE_SIGN1 = 18;
const LONGEST = 4096;
const place = document.getElementById("offline");
const words = JSON.parse(document.getElementById("offline-words").textContent);
const camera = document.getElementById("camera");
const canvas = document.createElement("canvas");
let keys = [];
let sealed = null;
let running = null;

class Refused extends Error {}

// CBOR (RFC 8949), as much of it as a payload needs: integers, strings, arrays, maps, one tag.
function cbor(octets) {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  let at = 0;
  function length(short) {
    if (short < 24) return short;
    const size = { 24: 1, 25: 2, 26: 4 }[short];
    if (!size || at + size > octets.length) throw new Refused("malformed");
    const value = { 1: () => view.getUint8(at), 2: () => view.getUint16(at), 4: () => view.getUint32(at) }[size]();
    at += size;
    return value;
  }
  function item(depth) {
    if (depth > 4 || at >= octets.length) throw new Refused("malformed");
    const head = octets[at++];
    const kind = head >> 5;
    const count = length(head & 31);
    if (kind === 0) return count;
    if (kind === 1) return -1 - count;
    if (kind === 2 || kind === 3) {
      if (at + count > octets.length) throw new Refused("malformed");
      const part = octets.slice(at, at + count);
      at += count;
      return kind === 2 ? part : new TextDecoder("utf-8", { fatal: true }).decode(part);
    }
    if (kind === 4) return Array.from({ length: Math.min(count, 64) }, () => item(depth + 1));
    if (kind === 5) {
      const map = new Map();
      for (let n = 0; n < Math.min(count, 64); n++) map.set(item(depth + 1), item(depth + 1));
      return map;
    }
    if (kind === 6) return { tag: count, value: item(depth + 1) };
    throw new Refused("malformed");
  }
  const value = item(0);
  if (at !== octets.length) throw new Refused("malformed");
  return value;
}

function byteString(octets) {
  const size = octets.length;
  const head = size < 24 ? [0x40 | size] : size < 256 ? [0x58, size] : [0x59, size >> 8, size & 255];
  return [...head, ...octets];
}

function read(text) {
  text = text.trim();
  if (!text.includes("#") && text.includes("/")) throw new Refused("without-seal");
  const encoded = text.slice(text.lastIndexOf("#") + 1);
  if (encoded.length > LONGEST || !/^[A-Za-z0-9_-]+$/.test(encoded)) throw new Refused("malformed");
  const octets = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const cose = cbor(octets);
  if (cose.tag !== COSE_SIGN1 || !Array.isArray(cose.value) || cose.value.length !== 4) throw new Refused("malformed");
  const [protectedHeader, , payload, signature] = cose.value;
  const header = cbor(protectedHeader);
  const said = cbor(payload);
  if (header.get(1) !== -7 || signature.length !== 64) throw new Refused("malformed");
  const claims = {};
  for (const [name, label] of Object.entries(PAYLOAD)) {
    if (said.get(label) === undefined) throw new Refused("malformed");
    claims[name] = said.get(label);
  }
  const hex = (part) => Array.from(part, (one) => one.toString(16).padStart(2, "0")).join("");
  const day = String(claims.day);
  return {
    address: text.includes("#") ? text.slice(0, text.indexOf("#")) : "",
    keyId: hex(header.get(4)),
    unit: claims.unit,
    number: claims.number,
    volume: claims.volume,
    day: `${day.slice(6)}/${day.slice(4, 6)}/${day.slice(0, 4)}`,
    iso: `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`,
    digest: hex(claims.digest),
    size: claims.size,
    signed: new Uint8Array([0x84, 0x6a, ...new TextEncoder().encode("Signature1"),
      ...byteString(protectedHeader), 0x40, ...byteString(payload)]),
    signature,
  };
}

async function judge(code) {
  const key = keys.find((one) => one.kid === code.keyId && one.unit === code.unit);
  if (!key) throw new Refused("key-unknown");
  const jwk = { kty: "EC", crv: "P-256", x: key.x, y: key.y };
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const imported = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["verify"]);
  const good = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, code.signature, code.signed);
  if (!good || code.iso < key.not_before || code.iso > key.not_after) throw new Refused("signature-wrong");
  if (key.revoked) throw new Refused("key-revoked");
  return key;
}

// The code's pixels in a copy's PDF: hexadecimal text after the mark (ISO 32000-1 §7.4.2).
function pixelsIn(octets) {
  const text = new TextDecoder("latin1").decode(octets);
  const found = [...text.matchAll(/\/DauSoCode true[^<>]{0,200}>>\s?stream\r?\n([0-9A-F]+)>/g)];
  if (found.length !== 1) throw new Refused("file-differs");
  const start = found[0].index + found[0][0].length - 1 - found[0][1].length;
  return { start, end: start + found[0][1].length, hex: found[0][1] };
}

async function digestOf(octets) {
  const blank = octets.slice();
  const { start, end } = pixelsIn(blank);
  blank.fill(0x46, start, end);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", blank));
  return Array.from(digest, (one) => one.toString(16).padStart(2, "0")).join("");
}

function codeInPdf(octets) {
  const { hex } = pixelsIn(octets);
  let side = 61;
  while (side < 200 && 2 * Math.ceil(side / 8) * side !== hex.length) side += 4;
  const row = 2 * Math.ceil(side / 8);
  const scale = 4;
  const wide = side * scale;
  const image = new Uint8ClampedArray(wide * wide * 4).fill(255);
  for (let y = 0; y < wide; y++) {
    for (let x = 0; x < wide; x++) {
      const column = Math.floor(x / scale);
      const digit = parseInt(hex[Math.floor(y / scale) * row + (column >> 2)], 16);
      if (!((digit >> (3 - (column & 3))) & 1)) image.fill(0, (y * wide + x) * 4, (y * wide + x) * 4 + 3);
    }
  }
  const found = jsQR(image, wide, wide);
  if (!found) throw new Refused("not-found");
  return found.data;
}

function codeIn(source, width, height) {
  const factor = Math.min(1, 2400 / Math.max(width, height));
  canvas.width = Math.round(width * factor);
  canvas.height = Math.round(height * factor);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return jsQR(context.getImageData(0, 0, canvas.width, canvas.height).data, canvas.width, canvas.height);
}

// A photograph may hold several codes, and one with an address only: look at its parts as well.
function codeInPicture(picture) {
  const { width, height } = picture;
  const parts = [[0, 0, 1, 1], [0, 0.4, 0.6, 0.6], [0, 0.3, 0.5, 0.4], [0, 0.5, 0.5, 0.5], [0.4, 0.4, 0.6, 0.6], [0, 0, 0.6, 0.6]];
  let other = null;
  for (const [x, y, w, h] of parts) {
    const part = document.createElement("canvas");
    part.width = Math.round(w * width);
    part.height = Math.round(h * height);
    part.getContext("2d").drawImage(picture, -x * width, -y * height);
    const found = codeIn(part, part.width, part.height);
    if (found && found.data.includes("#")) return found.data;
    other = other || found;
  }
  if (!other) throw new Refused("not-found");
  return other.data;
}

function show(tone, title, text, rows) {
  const card = document.getElementById("offline-result");
  card.className = `ds-card ds-verdict ds-${tone} mb-4`;
  card.hidden = false;
  for (const symbol of card.querySelectorAll("[data-tone]")) symbol.hidden = symbol.dataset.tone !== tone;
  card.querySelector(".ds-words").textContent = title;
  card.querySelector(".ds-said").textContent = text;
  const list = document.getElementById("offline-facts");
  list.replaceChildren();
  for (const [name, value] of rows) {
    const term = document.createElement("dt");
    term.textContent = name;
    const said = document.createElement("dd");
    said.textContent = value;
    list.append(term, said);
  }
  list.parentElement.hidden = rows.length === 0;
  const link = document.getElementById("offline-link");
  const code = sealed && sealed.address.match(/\/v\/([0-9A-Z-]{20,30})$/);
  link.hidden = !code || tone === "bad";
  if (code) link.href = `/v/${code[1]}`;
  card.scrollIntoView({ behavior: "smooth", block: "center" });
}

function refuse(error) {
  const reason = error instanceof Refused ? error.message : "malformed";
  const tone = ["without-seal", "not-found"].includes(reason) ? "open" : "bad";
  show(tone, words[tone === "bad" ? "bad" : "unread"], words[reason], []);
}

async function check(text, file) {
  try {
    sealed = null;
    const code = read(text);
    const key = await judge(code);
    sealed = code;
    const rows = [[words.unit, key.unit_name], [words.number, String(code.number).padStart(2, "0")],
      [words.volume, String(code.volume).padStart(2, "0")], [words.day, code.day]];
    if (file) {
      if (file.length < code.size || (await digestOf(file.slice(0, code.size))) !== code.digest) throw new Refused("file-differs");
      rows.push([words.file, words["file-same"]]);
      show("good", words["good-file"], words["good-text"], rows);
    } else {
      show("good", words.good, words["good-text"], rows);
    }
  } catch (error) {
    refuse(error);
  }
}

async function takeFile(file) {
  try {
    const octets = new Uint8Array(await file.arrayBuffer());
    if (octets[0] === 0x25 && octets[1] === 0x50) return check(codeInPdf(octets), octets);
    const picture = await createImageBitmap(file);
    return check(codeInPicture(picture), null);
  } catch (error) {
    return refuse(error instanceof Refused ? error : new Refused("not-found"));
  }
}

function stop() {
  if (running) running.getTracks().forEach((track) => track.stop());
  running = null;
  camera.hidden = true;
}

function look() {
  if (!running) return;
  if (camera.readyState >= 2) {
    const found = codeIn(camera, camera.videoWidth, camera.videoHeight);
    if (found && found.data.includes("#")) {
      stop();
      check(found.data, null);
      return;
    }
  }
  setTimeout(look, 120);
}

document.getElementById("start-camera").addEventListener("click", async () => {
  if (running) return stop();
  try {
    running = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    camera.srcObject = running;
    camera.hidden = false;
    await camera.play();
    look();
  } catch {
    show("open", words.unread, words["no-camera"], []);
  }
});
document.getElementById("offline-file").addEventListener("change", (event) => {
  if (event.target.files[0]) takeFile(event.target.files[0]);
});
document.getElementById("offline-form").addEventListener("submit", (event) => {
  event.preventDefault();
  check(document.getElementById("offline-text").value, null);
});

function online() {
  document.getElementById("offline-state").textContent = navigator.onLine ? words.online : words.offline;
}
window.addEventListener("online", online);
window.addEventListener("offline", online);

(async () => {
  online();
  keys = (await (await fetch("/.well-known/dauso-copy-keys.json")).json()).keys;
  place.dataset.ready = String(keys.length);
  if (location.hash.length > 60) check(`${location.origin}/v/#${location.hash.slice(1)}`, null);
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/verify-offline-worker.js", { scope: "/verify-offline" }).catch(() => null);
})();
