// The side panels and the top: this frame, its focus, the daemon's health, recent faults.

import { VERDICTS, clock, el, metres, outcome, seconds, standing, verdictBar, visible, words } from "./format.js";

const at = (id) => document.getElementById(id);

function facts(pairs) {
  const list = el("dl", { class: "facts" });
  for (const [name, value] of pairs) {
    if (value !== null && value !== undefined && value !== "") list.append(el("dt", {}, name), el("dd", {}, value));
  }
  return list;
}

function fault(title, text, remedy) {
  return el("div", { class: "fault" }, el("strong", {}, title), text ?? "", remedy ? el("p", {}, `What to do: ${remedy}`) : null);
}

export function showAbout(frame) {
  const about = at("about");
  if (!frame) return about.replaceChildren();
  const kind = standing(frame), failed = frame.state === "failed";
  about.replaceChildren(...[
    el("div", { class: "title" }, el("h3", {}, frame.name), el("span", { class: `chip ${kind}` }, outcomeWord(frame))),
    failed ? fault(words(frame.reason), frame.detail, frame.remedy) : why(frame),
    facts([
      ["Number", `${frame.key}${frame.page ? `, page ${frame.page}` : ""}`],
      ["Seen", clock(frame.seen_at)],
      ["Size", frame.shape ? `${frame.shape[1]} × ${frame.shape[0]} px, ${frame.type}` : ""],
      ["Pixel", frame.pixel_size_m ? metres(frame.pixel_size_m[1]) : "size unknown"],
      ["Vendor", frame.summary?.vendor],
      ["Warnings", (frame.summary?.warnings ?? []).join("; ")],
      ["Saved as", frame.output],
    ]),
    frame.has_refocused ? madeByNetwork(frame) : null,
  ].filter(Boolean));
}

function outcomeWord(frame) {
  return frame.state === "published" ? (frame.has_refocused ? "refocused" : "published") : frame.state;
}

function why(frame) {
  const text = frame.detail || (frame.has_refocused ? "" : words(outcome(frame)));
  return text ? el("p", { class: "why" }, text) : null;
}

function madeByNetwork(frame) {
  const weights = frame.summary?.weights;
  const name = weights?.name ? `: ${weights.name}` + (weights.sha256 ? `, sha256 ${weights.sha256.slice(0, 12)}` : "") : "";
  const took = frame.summary?.seconds ? ` It took ${seconds(frame.summary.seconds)}.` : "";
  return el("p", { class: "note" }, `A network made the pixels inside the blue border${name}. Outside this mask every pixel is the original's.${took}`);
}

export function showFocus(frame) {
  const focus = at("focus");
  const verdicts = frame?.summary?.verdicts ?? frame?.verdicts;
  if (!verdicts) return focus.replaceChildren();
  const total = VERDICTS.reduce((sum, verdict) => sum + (verdicts[verdict] ?? 0), 0) || 1;
  const legend = el("ul", { class: "legend" });
  for (const verdict of VERDICTS) {
    const count = verdicts[verdict] ?? 0;
    legend.append(el("li", {}, el("i", { class: `swatch v-${verdict}` }), el("span", {}, words(verdict)),
      el("span", {}, String(count)), el("span", { class: "share" }, `${Math.round((100 * count) / total)} %`)));
  }
  const median = frame.summary?.median_sigma_px ?? frame.median_sigma_px, size = frame.pixel_size_m?.[1];
  const blur = median ? `${median.toFixed(2)} px${size ? ` (${metres(median * size)})` : ""}` : "";
  focus.replaceChildren(el("h2", {}, "Focus, by tiles"), verdictBar(verdicts), legend,
    facts([["Median blur", blur], ["Tile", frame.focus ? `${frame.focus.tile_px} px` : ""]]),
    ...findings(frame.findings ?? []), ...(frame.advice ? [el("p", { class: "advice" }, el("strong", {}, "Advice "), frame.advice)] : []));
}

function findings(said) {
  return said.length ? [el("ul", { class: "findings" }, ...said.map((one) => el("li", { class: one.warns ? "warns" : "" }, one.text)))] : [];
}

export function showCounts(status) {
  const states = status.frames ?? {};
  const all = Object.values(states).reduce((sum, count) => sum + count, 0);
  const waiting = ["seen", "held", "settled", "scored", "refocused"].reduce((sum, one) => sum + (states[one] ?? 0), 0);
  const shown = [["seen", all], ["on the way", waiting], ["published", states.published ?? 0], ["failed", states.failed ?? 0], ["skipped", states.skipped ?? 0]];
  at("counts").replaceChildren(...shown.map(([name, count]) =>
    el("div", { class: name === "failed" && count ? "bad" : "" }, el("dt", {}, name), el("dd", {}, String(count)))));
  at("instrument").textContent = status.instrument ?? "";
}

export function showDaemon(status) {
  const parts = [workerPart(status.worker ?? {}), ...(status.sources ?? []).map(sourcePart), lagPart(status), outputPart(status)];
  const shown = parts.filter(Boolean);
  at("daemon").replaceChildren(el("h2", {}, "Daemon"), ...shown.map(({ level, name, text, more }) =>
    el("div", { class: `part ${level}` }, el("i", { class: "dot" }), el("span", {}, name), el("div", {}, el("p", {}, text), more ? el("p", {}, more) : null))));
  at("health").replaceChildren(...shown.filter((part) => part.pill).map(({ level, pill }) =>
    el("span", { class: `pill ${level}` }, el("i", { class: "dot" }), pill)));
  const bad = shown.filter((part) => part.level === "bad");
  const alarm = at("alarm");
  alarm.hidden = !bad.length;
  alarm.textContent = visible(bad.map((part) => `${part.name}: ${part.text}${part.more ? `. ${part.more}` : ""}`).join("  ·  "));
}

function workerPart(worker) {
  const state = worker.state ?? "unknown";
  const level = { degraded: "bad", disabled: "", starting: "warn", restarting: "warn", stopped: "", idle: "ok", ready: "ok", busy: "ok" }[state] ?? "ok";
  const device = worker.device ? `, ${worker.device}` : "", weights = worker.weights?.name ? `, ${worker.weights.name}` : "";
  const more = state === "degraded" ? [worker.last_fault, "Scores go on; 'semdaemon doctor' checks device and weights."].filter(Boolean).join(". ")
    : worker.job?.tiles_total ? `${worker.job.tiles_done} of ${worker.job.tiles_total} tiles, ${seconds(worker.job.running_s)}`
    : state === "restarting" ? worker.last_fault ?? "" : worker.restarts ? `${worker.restarts} restarts so far` : "";
  return { level, name: "Worker", text: `${state}${device}${weights}`, more, pill: `worker ${state}` };
}

function sourcePart(source) {
  const roots = source.roots ?? [];
  const where = roots.length ? roots.map((root) => (typeof root === "string" ? root : root.path ?? "")).join(", ") : "";
  const state = source.ok !== false ? "ok" : source.waiting ? "waits" : "fault";
  return {
    level: { ok: "ok", waits: "", fault: "bad" }[state], name: "Source",
    text: `${source.name}${source.watching ? `, by ${source.watching}` : ""}`,
    more: [source.ok === false ? source.detail : "", where].filter(Boolean).join(" · "),
    pill: `${source.name} ${state}`,
  };
}

function lagPart(status) {
  const lag = status.oldest_waiting_s ?? 0;
  const text = lag ? `the oldest frame waits ${seconds(lag)}` : "nothing waits";
  return { level: lag > 60 ? "warn" : "ok", name: "Lag", text, pill: lag ? `lag ${seconds(lag)}` : "no lag" };
}

function outputPart(status) {
  const output = status.output;
  if (!output?.folder) return null;
  return { level: output.fault ? "bad" : "ok", name: "Output", text: output.fault ?? output.folder, more: output.fault ? "Free space or restore permissions; refocusing goes on by itself." : "" };
}

export function showFaults(frames, open) {
  if (!frames.length) return at("faults").replaceChildren();
  at("faults").replaceChildren(el("h2", {}, "Recent faults"), ...frames.map((frame) =>
    el("button", { type: "button", on: { click: () => open(frame.key) } },
      el("div", { class: "fault" }, el("strong", {}, words(frame.reason)), frame.name, frame.remedy ? el("p", {}, frame.remedy) : null))));
}
