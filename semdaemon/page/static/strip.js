// The strip of frames, newest first.

import { el, outcome, standing, verdictBar, visible, words } from "./format.js";

const strip = document.getElementById("strip");
const made = new Map();

// What to ask for, and what of it to show.
export const FILTERS = {
  all: { query: "limit=200", keep: () => true },
  refocused: { query: "limit=500&only=published", keep: (frame) => frame.has_refocused },
  waiting: { query: "limit=200&only=seen,held,settled,scored,refocused", keep: (frame) => standing(frame) === "way" },
  failed: { query: "limit=200&only=failed", keep: (frame) => frame.state === "failed" },
};

export function showStrip(frames, filter, chosen, open) {
  const shown = frames.filter(FILTERS[filter].keep);
  const items = shown.map((frame) => item(frame, open));
  for (const key of [...made.keys()]) if (!frames.some((frame) => frame.key === key)) made.delete(key);
  strip.replaceChildren(...(items.length ? items : [el("p", {}, filter === "all" ? "No frames yet." : "No such frames.")]));
  mark(chosen);
  return shown;
}

export function mark(chosen) {
  for (const [key, { button }] of made) button.setAttribute("aria-current", String(key === chosen));
}

// Only the strip scrolls: scrollIntoView would move a narrow page away from the picture with every new frame.
export function reveal(chosen) {
  const node = made.get(chosen)?.node;
  if (!node) return;
  const view = strip.getBoundingClientRect(), box = node.getBoundingClientRect(), gap = 16;
  if (box.left < view.left + gap) strip.scrollLeft += box.left - view.left - gap;
  else if (box.right > view.right - gap) strip.scrollLeft += box.right - view.right + gap;
}

// An item is built anew only when its frame changed: thumbnails do not flicker.
function item(frame, open) {
  const stamp = JSON.stringify(frame);
  const known = made.get(frame.key);
  if (known?.stamp === stamp) return known.node;
  const button = el("button", { type: "button", title: `${visible(frame.name)}\n${outcome(frame)}`, on: { click: () => open(frame.key) } },
    thumb(frame), verdictBar(frame.verdicts),
    el("span", { class: "name" }, el("bdi", {}, frame.name)),
    el("span", { class: `state ${standing(frame)}` }, el("span", {}, outcome(frame)), blur(frame)));
  const node = el("li", {}, button);
  made.set(frame.key, { stamp, node, button });
  return node;
}

function thumb(frame) {
  const box = el("div", { class: "thumb" });
  if (frame.has_picture) box.append(picture(frame));
  else box.append(frame.state === "failed" ? words(frame.reason) : frame.state);
  if (frame.has_refocused) box.append(el("span", { class: "mark" }, "+ refocused"));
  return box;
}

function picture(frame) {
  const image = el("img", { src: `/api/frames/${frame.key}/thumb?${frame.state}`, alt: "", loading: "lazy", draggable: "false" });
  image.addEventListener("error", () => image.remove());
  return image;
}

function blur(frame) {
  return frame.median_sigma_px ? el("b", { title: "median blur, pixels" }, `σ ${frame.median_sigma_px.toFixed(1)}`) : null;
}
