// The frame: original and refocused wiped or side by side, focus map, mask border, zoom, scale bar.

import { metres, words } from "./format.js";
import { cellAt, drawMap } from "./overlay.js";

const GAP = 10;
const MOST_ZOOM = 16;
const at = (id) => document.getElementById(id);
const stage = at("stage"), original = at("pane-original"), refocused = at("pane-refocused");
const wipe = at("wipe"), tip = at("tip"), canvas = at("map");
const pictures = { original: at("img-original"), refocused: at("img-refocused"), mask: at("img-mask") };

let frame = null;
let fit = { width: 0, height: 0 };
let zoom = { factor: 1, x: 0, y: 0 };
let changed = () => {};
const state = { view: "wipe", map: true, mask: true, wipe: 50, wipeIsMine: false };

export function onViewChange(act) {
  changed = act;
}

export function view() {
  return { ...state, shown: shownView() };
}

export function setView(values) {
  Object.assign(state, values);
  layout();
  changed();
}

export function showFrame(next) {
  const other = frame?.key !== next?.key;
  const reshaped = String(frame?.shape) !== String(next?.shape);
  frame = next;
  if (other && !state.wipeIsMine) state.wipe = throughTheBlurred();
  if (reshaped) zoom = { factor: 1, x: 0, y: 0 };
  if (other) hideTip();
  const has = Boolean(frame?.has_picture);
  setPicture("original", has);
  setPicture("refocused", has && frame.has_refocused);
  setPicture("mask", has && frame.has_refocused);
  at("empty").hidden = has;
  if (!has && frame) sayWhyEmpty();
  layout();
  changed();
}

function setPicture(kind, wanted) {
  const picture = pictures[kind];
  const address = wanted ? `/api/frames/${frame.key}/${kind}?${frame.state}` : null;
  if (picture.dataset.address === (address ?? "")) return;
  picture.dataset.address = address ?? "";
  if (wanted) picture.src = address;
  else picture.removeAttribute("src");
  picture.alt = kind === "mask" || !wanted ? "" : `${frame.name}, ${kind}`;
}

pictures.original.addEventListener("error", () => {
  if (!frame) return;
  pictures.original.removeAttribute("src");
  const [title, text] = at("empty").children;
  title.textContent = "The file is not there any more";
  text.textContent = "What is known of the frame stands at the side.";
  at("empty").hidden = false;
});

function sayWhyEmpty() {
  const [title, text] = at("empty").children;
  title.textContent = frame.state === "failed" ? "This frame could not be read" : "No picture of this frame";
  text.textContent = frame.state === "failed" ? words(frame.reason) : `${frame.state} ${words(frame.reason)}`;
}

// Where to wipe until somebody chooses: through the middle of what was blurred. Elsewhere both sides are the same,
// and an untouched half would stand under the words "refocused by network".
function throughTheBlurred() {
  if (!frame?.focus) return 50;
  const [, left, , right] = frame.focus.image_area, cols = frame.focus.verdict[0].length;
  const blurred = frame.focus.verdict.flatMap((line) => line.flatMap((verdict, col) => (verdict === "blurred" ? [col] : [])));
  if (!blurred.length) return 50;
  blurred.sort((a, b) => a - b);
  const middle = (blurred[(blurred.length - 1) >> 1] + blurred[blurred.length >> 1]) / 2;
  const centre = left + ((middle + 0.5) * (right - left)) / cols;
  return Math.max(8, Math.min(92, (100 * centre) / frame.shape[1]));
}

// What is on screen: a view that needs the refocused frame falls back to the original alone.
function shownView() {
  return frame?.has_refocused ? state.view : "original";
}

function layout() {
  const shown = shownView(), has = Boolean(frame?.has_picture && frame.shape);
  const twice = shown === "side";
  if (has) {
    const [height, width] = frame.shape;
    const room = { width: (stage.clientWidth - (twice ? GAP : 0)) / (twice ? 2 : 1), height: stage.clientHeight };
    const scale = Math.min(room.width / width, room.height / height);
    fit = { width: Math.round(width * scale), height: Math.round(height * scale) };
  }
  const total = twice ? 2 * fit.width + GAP : fit.width;
  const left = Math.round((stage.clientWidth - total) / 2), top = Math.round((stage.clientHeight - fit.height) / 2);
  place(original, left, top, has && shown !== "refocused");
  place(refocused, twice ? left + fit.width + GAP : left, top, has && shown !== "original");
  const cut = shown === "wipe" ? state.wipe : 0;
  refocused.style.clipPath = `inset(0 0 0 ${cut}%)`;
  wipe.hidden = !(has && shown === "wipe");
  wipe.style.left = `${left + (fit.width * state.wipe) / 100}px`;
  wipe.style.top = `${top}px`;
  wipe.style.height = `${fit.height}px`;
  wipe.setAttribute("aria-valuenow", Math.round(state.wipe));
  wipe.setAttribute("aria-valuetext", `${Math.round(state.wipe)} % original`);
  pictures.mask.hidden = !state.mask;
  paint();
}

function place(pane, left, top, visible) {
  pane.hidden = !visible;
  Object.assign(pane.style, { left: `${left}px`, top: `${top}px`, width: `${fit.width}px`, height: `${fit.height}px` });
}

function paint() {
  if (!frame?.shape) return;
  const moved = `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.factor})`;
  Object.values(pictures).forEach((picture) => { picture.style.transform = moved; });
  at("badge").hidden = zoom.factor === 1; // the one in the picture has scrolled out of sight
  const near = (fit.width * zoom.factor) / Math.min(1600, frame.shape[1]) > 3;
  [original, refocused].forEach((pane) => pane.classList.toggle("near", near));
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(fit.width * ratio) || canvas.height !== Math.round(fit.height * ratio)) {
    canvas.width = Math.round(fit.width * ratio);
    canvas.height = Math.round(fit.height * ratio);
  }
  const scale = (fit.width * zoom.factor) / frame.shape[1];
  drawMap(canvas, state.map ? frame.focus : null, (x, y) => [x * scale + zoom.x, y * scale + zoom.y], ratio);
  document.querySelectorAll(".scalebar").forEach((bar) => scaleBar(bar, scale));
}

// Above the data bar, which has a scale of its own.
function scaleBar(bar, scale) {
  const bottom = frame.focus?.image_area[2] ?? frame.shape[0];
  bar.style.bottom = `${Math.max(7, fit.height - (bottom * scale + zoom.y) + 7)}px`;
  const size = frame.pixel_size_m?.[1];
  bar.hidden = !size || (bar.parentElement === refocused && shownView() === "wipe");
  if (!size) return;
  const perPixel = size / scale, wanted = (fit.width * perPixel) / 4.5;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const length = Math.max(...[1, 2, 5].map((step) => step * power).filter((one) => one <= wanted * 1.000001));
  bar.firstElementChild.textContent = metres(length);
  bar.lastElementChild.style.width = `${length / perPixel}px`;
}

// -- zoom and pan

export function zoomBy(factor, x = fit.width / 2, y = fit.height / 2) {
  const next = Math.max(1, Math.min(MOST_ZOOM, zoom.factor * factor));
  const ratio = next / zoom.factor;
  zoom = { factor: next, x: x - (x - zoom.x) * ratio, y: y - (y - zoom.y) * ratio };
  keepInside();
}

export function zoomFit() {
  zoom = { factor: 1, x: 0, y: 0 };
  keepInside();
}

function keepInside() {
  zoom.x = Math.min(0, Math.max(fit.width * (1 - zoom.factor), zoom.x));
  zoom.y = Math.min(0, Math.max(fit.height * (1 - zoom.factor), zoom.y));
  paint();
}

function within(event) {
  const shown = original.hidden ? refocused : original;
  let bounds = shown.getBoundingClientRect();
  if (shownView() === "side" && event.clientX > bounds.right) bounds = refocused.getBoundingClientRect();
  return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
}

function framePoint(event) {
  const { x, y } = within(event);
  const scale = (fit.width * zoom.factor) / frame.shape[1];
  return { x: (x - zoom.x) / scale, y: (y - zoom.y) / scale };
}

// -- pointer

let drag = null;

function wipeTo(percent) {
  setView({ wipe: Math.max(0, Math.min(100, percent)), wipeIsMine: true });
}

wipe.addEventListener("pointerdown", (event) => {
  drag = "wipe";
  wipe.setPointerCapture(event.pointerId);
  event.stopPropagation();
});
wipe.addEventListener("pointermove", (event) => {
  if (drag === "wipe") wipeTo((100 * within(event).x) / fit.width);
});
wipe.addEventListener("pointerup", () => { drag = null; });
wipe.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 }[event.key];
  if (step === undefined) return;
  wipeTo(state.wipe + step);
  event.preventDefault();
  event.stopPropagation();
});

stage.addEventListener("pointerdown", (event) => {
  if (zoom.factor === 1) return;
  drag = { x: event.clientX - zoom.x, y: event.clientY - zoom.y };
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  if (drag && drag !== "wipe") {
    zoom.x = event.clientX - drag.x;
    zoom.y = event.clientY - drag.y;
    keepInside();
    return;
  }
  if (frame?.focus && !drag) showTip(event);
});
stage.addEventListener("pointerup", () => { drag = null; });
stage.addEventListener("pointerleave", hideTip);
stage.addEventListener("dblclick", zoomFit);
stage.addEventListener("wheel", (event) => {
  if (!frame?.has_picture) return;
  event.preventDefault();
  const { x, y } = within(event);
  zoomBy(event.deltaY < 0 ? 1.25 : 0.8, x, y);
}, { passive: false });

function showTip(event) {
  const point = framePoint(event);
  const cell = cellAt(frame.focus, point.x, point.y);
  tip.hidden = !cell;
  if (!cell) return;
  const size = frame.pixel_size_m?.[1];
  const blur = cell.sigma === null ? "blur unknown" : `blur ${cell.sigma.toFixed(2)} px${size ? ` (${metres(cell.sigma * size)})` : ""}`;
  const score = cell.score === null ? "" : `\nprobability to be sharp ${Math.round(cell.score * 100)} %`;
  const where = frame.has_refocused ? "In the original " : "";
  tip.textContent = `${where}${words(cell.verdict)}: ${blur}${score}`;
  const bounds = stage.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX - bounds.left + 16, bounds.width - 230)}px`;
  tip.style.top = `${Math.min(event.clientY - bounds.top + 16, bounds.height - 60)}px`;
}

function hideTip() {
  tip.hidden = true;
}

new ResizeObserver(layout).observe(stage);
