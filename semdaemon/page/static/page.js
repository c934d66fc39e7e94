// What is shown and when it is fetched. ?still loads once and stops; ?frame=N&view=wipe&map=0 opens a certain view.

import { showAbout, showCounts, showDaemon, showFaults, showFocus } from "./panels.js";
import { visible } from "./format.js";
import { FILTERS, mark, reveal, showStrip } from "./strip.js";
import { onViewChange, setView, showFrame, view, zoomBy, zoomFit } from "./viewer.js";

const STATUS_MS = 5000;
const REST_MS = 250;

const asked = new URLSearchParams(location.search);
const still = asked.has("still");
let frames = [];
let strip = [];
let chosen = Number(asked.get("frame")) || null;
let follow = chosen ? null : "newest";
let filter = "all";
let shownStamp = "";
let current = null;

async function get(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

// -- what to show

function wanted() {
  if (follow === "refocused") return frames.find((frame) => frame.has_refocused)?.key ?? newest();
  return follow ? newest() : chosen;
}

function newest() {
  return (frames.find((frame) => frame.verdicts) ?? frames.find((frame) => frame.has_picture) ?? frames[0])?.key ?? null;
}

async function refresh() {
  const [told, status] = await Promise.all([get(`/api/frames?${FILTERS.all.query}`), get("/api/status")]);
  frames = told.frames;
  linked("ok", still ? "snapshot" : "live");
  showCounts(status);
  showDaemon(status);
  const failed = status.frames?.failed ? await get("/api/frames?limit=4&only=failed") : { frames: [] };
  showFaults(failed.frames, choose);
  await refreshStrip();
  await show(wanted());
}

// The newest frames are at hand; other filters reach further back.
async function refreshStrip() {
  const asked = filter;
  const listed = asked === "all" ? frames : (await get(`/api/frames?${FILTERS[asked].query}`)).frames;
  if (asked === filter) strip = showStrip(listed, filter, chosen, choose);
}

async function show(key) {
  if (key === null) return;
  const brief = frames.find((frame) => frame.key === key);
  const stamp = JSON.stringify(brief ?? key);
  const moved = key !== chosen || !current; // a link may name one that is far down the strip
  chosen = key;
  mark(chosen);
  if (stamp === shownStamp) return;
  shownStamp = stamp;
  const frame = await get(`/api/frames/${key}`);
  if (key !== chosen) return;
  current = frame;
  showFrame(frame);
  showAbout(frame);
  showFocus(frame);
  if (moved) reveal(chosen);
  document.title = `${visible(frame.name)} · semdaemon`;
}

function choose(key) {
  follow = null;
  pressed();
  show(key).catch(lost);
}

function setFollow(kind) {
  follow = kind;
  pressed();
  show(wanted()).catch(lost);
}

function step(by) {
  const at = strip.findIndex((frame) => frame.key === chosen);
  const next = strip[Math.max(0, Math.min(strip.length - 1, at + by))];
  if (next) choose(next.key);
  reveal(chosen);
}

// -- buttons and keys

function pressed() {
  const now = view();
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === now.shown));
    button.disabled = button.dataset.view !== "original" && !current?.has_refocused;
  }
  for (const button of document.querySelectorAll("[data-layer]")) button.setAttribute("aria-pressed", String(now[button.dataset.layer]));
  for (const button of document.querySelectorAll("[data-follow]")) button.setAttribute("aria-pressed", String(button.dataset.follow === follow));
  for (const button of document.querySelectorAll("[data-filter]")) button.setAttribute("aria-pressed", String(button.dataset.filter === filter));
}

const ACTIONS = {
  view: (value) => setView({ view: value }),
  layer: (value) => setView({ [value]: !view()[value] }),
  zoom: (value) => (value === "fit" ? zoomFit() : zoomBy(value === "in" ? 1.5 : 1 / 1.5)),
  follow: setFollow,
  filter: (value) => {
    filter = value;
    pressed();
    refreshStrip().catch(lost);
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  for (const [name, act] of Object.entries(ACTIONS)) if (button?.dataset[name]) act(button.dataset[name]);
});

const KEYS = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), l: () => setFollow("newest"), n: () => setFollow("refocused"),
  w: () => ACTIONS.view("wipe"), s: () => ACTIONS.view("side"), o: () => ACTIONS.view("original"), r: () => ACTIONS.view("refocused"),
  m: () => ACTIONS.layer("map"), b: () => ACTIONS.layer("mask"),
  "+": () => ACTIONS.zoom("in"), "=": () => ACTIONS.zoom("in"), "-": () => ACTIONS.zoom("out"), 0: zoomFit,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!act) return;
  act();
  event.preventDefault();
});

// -- live

function linked(level, text) {
  const pill = document.getElementById("link");
  pill.className = `pill ${level}`;
  pill.lastElementChild.textContent = text;
}

function lost() {
  linked("bad", "no answer: last known state");
}

let timer = null, busy = false, again = false;

// Bursts of changes become one fetch at a time, at most one every REST_MS.
function soon() {
  again = true;
  if (timer || busy) return;
  timer = setTimeout(async () => {
    timer = null;
    busy = true;
    again = false;
    await refresh().catch(lost);
    busy = false;
    if (again) soon();
  }, REST_MS);
}

let events = null;

// A hidden tab hangs up: a browser keeps only six connections to one place, and the others would starve.
function connect() {
  events?.close();
  events = null;
  if (document.hidden) return;
  events = new EventSource("/api/events");
  events.addEventListener("changed", soon);
  events.addEventListener("error", lost);
}

function live() {
  connect();
  document.addEventListener("visibilitychange", connect);
  setInterval(() => document.hidden || get("/api/status").then((status) => { showCounts(status); showDaemon(status); }).catch(lost), STATUS_MS);
}

onViewChange(pressed);
if (asked.has("follow")) follow = asked.get("follow");
setView({ view: asked.get("view") ?? "wipe", map: asked.get("map") !== "0", mask: asked.get("mask") !== "0", ...(asked.has("wipe") ? { wipe: Number(asked.get("wipe")), wipeIsMine: true } : {}) });
refresh().catch(lost).finally(() => { if (!still) live(); document.body.dataset.loaded = "1"; });
