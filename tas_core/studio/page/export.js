// The final file, made by the same job as the command, which is shown.
// @ts-check

import { button, html, labelled, replace, sentence } from "./elements.js";
import { store } from "./scene.js";
import { say } from "./strings.js";

let out = "";
let format = "";
let overwrite = false;
let command = "";
let copy = "";
let copied = "";

/** @returns {{out: string, formats: string[], overwrite: boolean}} */
function wish() {
  return { out, formats: format ? [format] : [], overwrite };
}

async function look() {
  try {
    command = (await store.json("command", wish())).command;
  } catch (error) {
    command = "";
    store.complain(error instanceof Error ? error.message : String(error));
  }
  draw();
}

async function make() {
  await store.settled(); // what is under way is of the file, too
  if (!store.scene?.saved && (await store.send("save"))) return;
  await store.send("export", wish());
}

async function writeCopy() {
  const name = copy;
  copied = "";
  if (!(await store.send("copy", { name, overwrite }))) copied = say("copied", { name });
  draw();
}

/** What makes the file, and how it is coming on; each is drawn by itself, so that nobody who writes a name waits. */
const parts = { wish: html("div"), state: html("div"), copy: html("div"), command: html("div") };

function drawWish(/** @type {import("./scene.js").Scene} */ scene) {
  const name = html("input", { type: "text", "data-key": "out", dir: "auto", value: out, spellcheck: "false" });
  name.addEventListener("change", () => {
    out = name.value.trim();
    look();
  });
  const formats = html(
    "select",
    { "data-key": "format" },
    html("option", { value: "", text: say("byName") }),
    ...scene.formats.map((each) => html("option", { value: each, text: each })),
  );
  formats.value = format;
  formats.addEventListener("change", () => {
    format = formats.value;
    if (format && Object.values(scene.names).includes(out)) out = scene.names[format];
    look();
  });
  const over = html("input", { type: "checkbox", "data-key": "overwrite", checked: overwrite });
  over.addEventListener("change", () => {
    overwrite = over.checked;
  });
  const running = scene.export.state === "running";
  replace(
    parts.wish,
    html(
      "div",
      { class: "bar" },
      labelled(say("out"), name),
      labelled(say("format"), formats),
      labelled(say("replace"), over),
      button(say("make"), make, { disabled: running || !scene.segments.length, "data-key": "make", class: "main" }),
      button(say("cancel"), () => store.send("cancel"), { disabled: !running, "data-key": "cancel" }),
    ),
  );
}

function drawState(/** @type {import("./scene.js").Scene} */ scene) {
  const made = scene.export;
  const running = made.state === "running";
  const percent = Math.round(100 * made.fraction);
  const lines = made.state === "none" ? [] : [say(/** @type {"done"} */ (made.state), { out: made.out, error: made.error, percent })];
  replace(
    parts.state,
    ...(running ? [html("progress", { max: 100, value: percent, "aria-label": made.out })] : []),
    html(
      "div",
      { role: "status" },
      ...lines.map((text) => html("p", { class: made.state, dir: "ltr" }, ...sentence(text))),
      ...made.warnings.map((text) => html("p", { class: "note", dir: "ltr" }, ...sentence(text))),
    ),
  );
}

function drawCopy(/** @type {import("./scene.js").Scene} */ scene) {
  const name = html("input", { type: "text", "data-key": "copy-name", dir: "auto", value: copy, spellcheck: "false" });
  name.addEventListener("change", () => {
    copy = name.value.trim();
  });
  replace(
    parts.copy,
    html(
      "div",
      { class: "bar" },
      labelled(say("copyName"), name),
      button(say("copy"), writeCopy, { disabled: !scene.segments.length, "data-key": "copy" }),
      html("output", { dir: "ltr" }, ...sentence(copied)),
    ),
  );
}

function draw() {
  const { scene } = store;
  if (!scene) return;
  drawWish(scene);
  drawState(scene);
  drawCopy(scene);
  replace(parts.command, html("details", { open: true }, html("summary", { text: say("command") }), html("code", { text: command })));
}

/** Show what makes the file. */
export async function showExport() {
  /** @type {Element} */ (document.querySelector("#export .body")).append(...Object.values(parts));
  out = store.scene?.names.binaural ?? "";
  copy = `${(store.scene?.file ?? "scene").replace(/\.[^.]*$/, "")}.srt`;
  store.watch(draw);
  await look();
}
