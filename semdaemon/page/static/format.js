// Words and numbers for people, and elements made safely: file names are foreign text, so nothing here writes HTML.

export const VERDICTS = ["sharp", "blurred", "beyond_repair", "undecided"];

export function words(code) {
  return String(code ?? "").replaceAll("_", " ");
}

export function metres(value) {
  for (const [factor, unit] of [[1e-3, "mm"], [1e-6, "µm"], [1e-9, "nm"]]) {
    if (value >= factor * 0.9995) return `${Number((value / factor).toPrecision(3))} ${unit}`;
  }
  return `${Number((value / 1e-12).toPrecision(3))} pm`;
}

export function seconds(value) {
  if (value < 90) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
}

export function clock(iso) {
  return iso ? new Date(iso).toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "";
}

// Characters that hide, or turn the reading direction round ("evil\u202egnp.tif" reads as a picture), shown as codes.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function visible(text) {
  return String(text).replace(HIDDEN, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "on") Object.entries(value).forEach(([event, act]) => made.addEventListener(event, act));
    else made.setAttribute(name, value === true ? "" : value);
  }
  const shown = children.filter((child) => child !== null && child !== undefined);
  made.append(...shown.map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

// "done", "way", "failed" or "skipped": how a frame's journey stands.
export function standing(frame) {
  if (frame.state === "published") return "done";
  return frame.state === "failed" || frame.state === "skipped" ? frame.state : "way";
}

export function outcome(frame) {
  if (frame.state === "published") return frame.has_refocused ? "refocused" : words(frame.reason || "published");
  if (frame.state === "scored") return "waits for refocusing";
  return frame.reason ? `${frame.state}: ${words(frame.reason)}` : frame.state;
}

export function verdictBar(verdicts) {
  const bar = el("div", { class: "bar", role: "img", "aria-label": verdictText(verdicts) });
  for (const verdict of VERDICTS) {
    const part = el("i", { class: `v-${verdict}` });
    part.style.flexGrow = String(verdicts?.[verdict] ?? 0);
    bar.append(part);
  }
  return bar;
}

function verdictText(verdicts) {
  if (!verdicts) return "not scored";
  return VERDICTS.map((verdict) => `${verdicts[verdict] ?? 0} ${words(verdict)}`).join(", ");
}
