// The words: one field for each segment, what was understood beside it, and what was not, with a caret.
// @ts-check

import { offersFor } from "./completion.js";
import { button, html, labelled, replace, sentence } from "./elements.js";
import { waits } from "./held.js";
import { shown, store } from "./scene.js";
import { say } from "./strings.js";

/** Words that are not the scene's yet, and those that they would replace. @type {Map<string, {text: string, of: string}>} */
const drafts = new Map();
/** @type {Map<string, any>} what is wrong with them */
const wrong = new Map();
/** @type {{objects: string[], places: string[]}} */
let known = { objects: [], places: [] };

/** @param {any} facts  @returns {Node[]} */
function complaint(facts) {
  const lines = [html("p", { class: "error", dir: "ltr" }, ...sentence(facts.error))];
  if (facts.text && facts.span) {
    const [first, stop] = facts.span;
    lines.push(
      html(
        "pre",
        { class: "error", dir: "ltr" },
        ...sentence(facts.text.slice(0, first)),
        html("mark", {}, ...sentence(facts.text.slice(first, Math.max(stop, first + 1)) || " ")),
        ...sentence(facts.text.slice(stop)),
      ),
    );
  }
  return lines;
}

/**
 * A field of words with its completions.
 * @param {string} key
 * @param {string} text
 * @param {string} label
 * @param {(text: string) => Promise<string | null>} apply  gives the words of the scene that they became
 */
function field(key, text, label, apply) {
  const draft = drafts.get(key);
  if (draft && draft.of !== text) {
    draft.of = text;
    wrong.set(key, { error: say("overtaken", { text }) });
  }
  const written = draft?.text ?? text;
  const area = html("textarea", {
    "data-key": key,
    "aria-label": label,
    "aria-describedby": `${key}-said`,
    rows: Math.min(6, written.split("\n").length + 1),
    dir: "ltr",
    spellcheck: "false",
    value: written,
  });
  const offers = offersFor(area, key, () => known);
  const said = html("div", { id: `${key}-said`, class: "said", "aria-live": "polite" });
  const mark = () => area.setAttribute("aria-invalid", wrong.has(key) ? "true" : "false");
  if (wrong.has(key)) replace(said, ...complaint(wrong.get(key)));
  mark();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  const finish = async () => {
    clearTimeout(waiting);
    if (drawing || !drafts.has(key)) return;
    const meant = area.value;
    drafts.delete(key);
    wrong.delete(key);
    const became = await apply(meant);
    const isLatest = !area.isConnected || area.value === meant;
    if (isLatest && became !== null) return;
    if (!isLatest) {
      // Written on meanwhile: from what was taken; what was refused is no more.
      wrong.delete(key);
      if (became !== null) drafts.set(key, { text: area.value, of: became });
    } else if (!drafts.has(key)) drafts.set(key, { text: meant, of: text });
    drawAnyhow();
    point(key);
  };
  area.addEventListener("input", () => {
    if (area.value === text) drafts.delete(key);
    else drafts.set(key, { text: area.value, of: text });
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const asked = area.value;
      const facts = await store.read(asked).catch(() => null);
      if (!facts || area.value !== asked) return; // another answer is to come
      if (facts.error && drafts.has(key)) wrong.set(key, facts);
      else wrong.delete(key);
      mark();
      replace(said, ...(facts.error ? complaint(facts) : understood(facts)));
    }, 250);
  });
  area.addEventListener("change", finish);
  area.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      finish();
    }
  });
  return { area, offers, said };
}

/** Select what is wrong in a field, if somebody is in it. @param {string} key */
function point(key) {
  const area = document.activeElement;
  const facts = wrong.get(key);
  if (!(area instanceof HTMLTextAreaElement) || area.dataset.key !== key || facts?.text !== area.value) return;
  area.setSelectionRange(facts.span[0], Math.max(facts.span[1], facts.span[0] + 1));
}

/** @param {{clauses: any[], notes: string[]}} facts  @returns {Node[]} */
function understood(facts) {
  const clauses = facts.clauses.map((clause) => html("li", { dir: "ltr" }, ...sentence(clause.words)));
  const notes = facts.notes.map((note) => html("li", { class: "note", dir: "ltr" }, ...sentence(note)));
  return [html("ul", { "aria-label": say("understood") }, ...clauses, ...notes)];
}

/** The text whose rows are there: they are made anew for another alone, so that nobody's caret moves. */
let drawn = "";
/** Whether they are made anew although somebody writes. */
let anyhow = false;

/** Whether fields are being replaced: one that is in focus then says that it was changed, and nobody has taken its words. */
let drawing = false;

function drawAnyhow() {
  anyhow = true;
  draw();
}

function draw() {
  const { scene, segments } = store;
  const body = /** @type {Element} */ (document.querySelector("#text .body"));
  if (!scene || waits(body, draw)) return;
  if (drawn === scene.text && !anyhow && body.childElementCount) {
    for (const [number, row] of body.querySelectorAll(".row").entries())
      row.classList.toggle("current", number === store.number);
    return;
  }
  if (!anyhow && body.contains(document.activeElement) && document.activeElement?.matches("textarea") && drafts.size) return;
  anyhow = false;
  const rows = segments.map((segment, number) => {
    const label = say("words", { start: shown(segment.start_s), end: shown(segment.closed_end_s) });
    const key = `segment-${number}`;
    const { area, offers, said } = field(key, segment.text, label, async (text) => {
      if (store.segments[number]?.text !== segment.text) return null; // by others, and the field says so
      const refused = await store.change({ kind: "text", segment: number, text }, scene);
      if (refused) wrong.set(key, refused.facts);
      return refused ? null : (store.segments[number]?.text ?? text);
    });
    if (!wrong.has(key)) replace(said, ...understood(segment));
    area.addEventListener("focus", () => {
      if (store.number !== number) store.go(segment.start_s);
    });
    const times = html("span", { class: "times", text: `${shown(segment.start_s)} – ${shown(segment.closed_end_s)} s` });
    return html("div", { class: store.number === number ? "row current" : "row" }, times, area, offers, said);
  });
  const last = segments.at(-1);
  if (!last || last.closed_end_s < scene.duration_s - 0.01) {
    const start_s = last ? last.closed_end_s : 0;
    const { area, offers, said } = field("new", "", say("addHere"), async (text) => {
      if (!text.trim()) return "";
      const refused = await store.change({ kind: "add", start_s, end_s: null, text });
      if (refused) wrong.set("new", refused.facts);
      return refused ? null : "";
    });
    area.setAttribute("placeholder", say("addHint"));
    rows.push(html("div", { class: "row" }, html("span", { class: "times", text: say("add") }), area, offers, said));
  }
  const raw = html("textarea", {
    "data-key": "raw",
    rows: 8,
    spellcheck: "false",
    dir: "ltr",
    value: drafts.get("raw")?.text ?? scene.text,
  });
  raw.addEventListener("input", () => {
    if (raw.value === scene.text) drafts.delete("raw");
    else drafts.set("raw", { text: raw.value, of: drafts.get("raw")?.of ?? scene.text });
  });
  const whole = html(
    "details",
    { open: body.querySelector("details")?.open ?? false },
    html("summary", { text: say("raw") }),
    labelled(scene.file, raw),
    button(say("apply"), applyWhole, { "data-key": "apply" }),
  );
  drawn = scene.text;
  drawing = true;
  replace(body, ...rows, whole);
  drawing = false;
  const there = new Set([...body.querySelectorAll("textarea")].map((each) => each.dataset.key));
  for (const [key, { text }] of drafts)
    if (!there.has(key)) {
      drafts.delete(key);
      wrong.delete(key);
      store.complain(say("orphaned", { text }));
    }
}

/** Take the file as it was written here, unless it has been changed since. */
async function applyWhole() {
  const draft = drafts.get("raw");
  const now = store.scene?.text ?? "";
  if (!draft) return;
  if (draft.of !== now) {
    draft.of = now;
    store.complain(say("overtakenFile"));
    return;
  }
  drafts.delete("raw");
  const refused = await store.send("text", () => ({ revision: store.scene?.revision ?? 0, text: draft.text }));
  const written = drafts.get("raw");
  if (refused && !written) drafts.set("raw", draft);
  if (!refused && written) written.of = store.scene?.text ?? "";
}

/** Show the words. @param {{objects: string[], places: string[]}} words  to complete with */
export function showText(words) {
  known = words;
  store.watch(draw);
  addEventListener("beforeunload", (event) => {
    if (drafts.size) event.preventDefault();
  });
}
