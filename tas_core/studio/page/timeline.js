// When words hold: the sound as it is drawn, segments whose edges are dragged, and a lane for each sound.
// @ts-check

import { button, html, labelled, replace, sentence } from "./elements.js";
import { isHeard, onMoment } from "./playhead.js";
import { shown, store } from "./scene.js";
import { say } from "./strings.js";
import { passage } from "./sound.js";

const STEP_S = 0.1;
const GRAB_PX = 10;
/** Lanes that are more than so many are scrolled, by keys too. */
const MANY = 12;

/** The sound as it is drawn, as far as it is measured. @type {{parts: number, peaks: [number, number][], done: boolean}} */
let waveform = { parts: 1, peaks: [], done: false };
const canvas = html("canvas", { "aria-hidden": "true" });
const track = html("div", { class: "track" });
const tools = html("div", { class: "bar" });
const playhead = html("div", { class: "playhead", hidden: true });
const picker = html("input", { type: "file", accept: ".yaml,.yml,.srt,.vtt,.txt", "data-key": "import" });

/** @param {number} seconds */
function percent(seconds) {
  return `${(100 * seconds) / (store.scene?.duration_s || 1)}%`;
}

/** @param {PointerEvent} event */
function secondsAt(event) {
  const box = track.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  return Math.round(share * (store.scene?.duration_s ?? 0) * 100) / 100;
}

function drawWaveform() {
  const box = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, box.width * ratio);
  canvas.height = Math.max(1, box.height * ratio);
  const pen = canvas.getContext("2d");
  const { parts, peaks } = waveform;
  if (!pen || !peaks.length) return;
  pen.fillStyle = getComputedStyle(canvas).color;
  const { width, height } = canvas;
  const loudest = Math.max(0.01, ...peaks.map(([low, high]) => Math.max(-low, high)));
  for (let x = 0; x < width; x++) {
    const first = Math.floor((x * parts) / width);
    const stop = Math.max(first + 1, Math.floor(((x + 1) * parts) / width));
    let [low, high] = [0, 0];
    for (const [down, up] of peaks.slice(first, stop)) [low, high] = [Math.min(low, down), Math.max(high, up)];
    const top = (height / 2) * (1 - high / loudest);
    pen.fillRect(x, top, 1, Math.max(1, (height / 2) * ((high - low) / loudest)));
  }
}

/**
 * Follow the pointer until it is lifted.
 * @param {PointerEvent} event
 * @param {(seconds: number) => void} follow
 * @param {(moved: boolean) => void} end
 */
function drag(event, follow, end) {
  event.preventDefault();
  event.stopPropagation();
  const from = event.clientX;
  let moved = false;
  const step = (/** @type {PointerEvent} */ now) => {
    moved ||= Math.abs(now.clientX - from) > 3;
    if (moved) follow(secondsAt(now));
  };
  const stop = (/** @type {PointerEvent} */ now) => {
    removeEventListener("pointermove", step);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    if (now.type === "pointercancel") store.tell();
    else end(moved);
  };
  addEventListener("pointermove", step);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}

/** @param {number} seconds */
function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

/**
 * A segment that keys move: all of it, with Shift its end, with Alt its start.
 * @param {number} number
 * @param {number} step  seconds
 * @param {KeyboardEvent} event
 */
function stepped(number, step, event) {
  const { start_s, end_s, closed_end_s } = store.segments[number] ?? { start_s: 0, end_s: null, closed_end_s: 0 };
  const start = event.shiftKey ? start_s : rounded(Math.max(0, start_s + step));
  const last = event.shiftKey ? rounded(closed_end_s + step) : end_s === null || event.altKey ? end_s : rounded(end_s + step);
  return { kind: "times", segment: number, start_s: start, end_s: last };
}

/** @param {import("./scene.js").Segment} segment  @param {number} number */
function block(segment, number) {
  const { start_s, closed_end_s, end_s } = segment;
  const { scene } = store;
  const times = (/** @type {number} */ start, /** @type {number | null} */ end) =>
    store.change({ kind: "times", segment: number, start_s: rounded(start), end_s: end }, scene);
  const values = { number: number + 1, start: shown(start_s), end: shown(closed_end_s), text: segment.text };
  const element = html(
    "div",
    {
      class: store.number === number ? "segment current" : "segment",
      tabindex: 0,
      role: "button",
      "data-key": `block-${number}`,
      "aria-label": say("segment", values),
      "aria-pressed": store.number === number ? "true" : "false",
    },
    html("span", { dir: "ltr" }, ...sentence(segment.text)),
  );
  const place = (/** @type {number} */ start, /** @type {number} */ end) => {
    element.style.left = percent(start);
    element.style.width = percent(end - start);
  };
  place(start_s, closed_end_s);
  element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
    if (event.key === "Enter") store.go(start_s);
    else if (event.key === "Delete") store.change({ kind: "remove", segment: number }, scene);
    else if (event.key.toLowerCase() === "j" && !event.ctrlKey && !event.metaKey && !event.altKey)
      store.change(() => ({ kind: "join", segment: number, words: event.shiftKey ? "second" : "first" }));
    else if (step !== undefined) store.change(() => stepped(number, step, event));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  element.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    const box = element.getBoundingClientRect();
    const near = Math.min(GRAB_PX, box.width / 3);
    const grabbed = secondsAt(event);
    let [start, end] = [start_s, closed_end_s];
    const edge = event.clientX - box.left < near ? "start" : box.right - event.clientX < near ? "end" : "both";
    const follow = (/** @type {number} */ now) => {
      if (edge === "start") start = Math.min(now, end - 0.01);
      else if (edge === "end") end = Math.max(now, start + 0.01);
      else {
        const shift = Math.max(now - grabbed, -start_s);
        [start, end] = [start_s + shift, closed_end_s + shift];
      }
      place(start, end);
    };
    drag(event, follow, (moved) => {
      if (!moved) {
        element.focus();
        store.go(grabbed);
      } else times(start, end_s === null && edge === "start" ? null : rounded(end));
    });
  });
  return element;
}

/** @param {string} name  @param {number} colour */
function lane(name, colour) {
  const lines = store.segments
    .filter((segment) => segment.clauses.some((clause) => clause.object === name))
    .map((segment) => {
      const line = html("i", { class: `colour-${colour % 6}` });
      line.style.left = percent(segment.start_s);
      line.style.width = percent(segment.closed_end_s - segment.start_s);
      return line;
    });
  return html("div", { class: "lane" }, html("span", {}, html("bdi", { text: name })), ...lines);
}

function draw() {
  const { scene, segments, number } = store;
  if (!scene) return;
  const cursor = html("div", { class: "cursor" });
  cursor.style.left = percent(store.cursor);
  const heard = html("div", { class: "heard" });
  heard.style.left = percent(passage.start_s);
  heard.style.width = percent(Math.min(passage.duration_s, scene.duration_s - passage.start_s));
  const blocks = html("div", { class: "blocks" }, ...segments.map(block));
  const reached = scene.objects.length > MANY ? { tabindex: 0, role: "group", "aria-label": say("lanes"), "data-key": "lanes" } : {};
  const lanes = html("div", { class: "lanes", ...reached }, ...scene.objects.map(lane));
  replace(track, canvas, heard, blocks, lanes, cursor, playhead);
  drawWaveform();
  const at = html("input", {
    type: "number",
    min: 0,
    max: scene.duration_s,
    step: STEP_S,
    "data-key": "cursor",
    value: shown(store.cursor),
  });
  at.addEventListener("change", () => store.go(Number(at.value)));
  const there = number >= 0;
  replace(
    tools,
    labelled(say("cursor"), at),
    button(say("split"), () => store.change(() => ({ kind: "split", segment: store.number, at_s: store.cursor })), {
      disabled: !there,
      "data-key": "split",
    }),
    button(say("join"), () => store.change({ kind: "join", segment: number }, scene), {
      disabled: !there || number + 1 >= segments.length,
      "data-key": "join",
    }),
    button(say("remove"), () => store.change({ kind: "remove", segment: number }, scene), {
      disabled: !there || segments.length < 2,
      "data-key": "remove",
    }),
  );
}

/** Draw the sound as it is read, which takes a while for hours of it. */
async function readWaveform() {
  try {
    while (!waveform.done) {
      waveform = await store.json("waveform");
      drawWaveform();
    }
  } catch (error) {
    store.complain(error instanceof Error ? error.message : String(error));
  }
}

/** Take the segments of another file. @param {File} file */
async function takeIn(file) {
  const data = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  }).catch((/** @type {Error} */ error) => store.complain(error.message));
  if (data === undefined) return;
  await store.send("import", () => ({ name: file.name, data, revision: store.scene?.revision ?? 0 }));
}

/** Files are taken from a dialog, or dropped anywhere on the page. */
function takesFiles() {
  picker.addEventListener("change", async () => {
    const [file] = picker.files ?? [];
    if (file) await takeIn(file);
    picker.value = "";
  });
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    const [file] = event.dataTransfer?.files ?? [];
    if (!file) return;
    event.preventDefault();
    takeIn(file);
  });
}

/** Show the time. */
export function showTimeline() {
  const body = /** @type {Element} */ (document.querySelector("#timeline .body"));
  body.append(track, tools, html("div", { class: "bar" }, labelled(say("import"), picker)));
  takesFiles();
  onMoment((seconds) => {
    const there = isHeard();
    playhead.hidden = !there;
    if (there) playhead.style.left = percent(seconds);
  });
  track.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => store.go(secondsAt(event)));
  addEventListener("resize", drawWaveform);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawWaveform);
  store.watch(draw);
  readWaveform();
}
