// Where sounds are, seen from above and from the side: dots that are dragged, ways that are drawn.
// @ts-check

import { dot, ghost, halo, handlesOf, labelRows, moving, way } from "./dots.js";
import { button, html, labelled, replace, sentence, svg } from "./elements.js";
import { ends, pointed, put, thinned } from "./hands.js";
import { measuredIn, measuredWords, notMeasured } from "./measured.js";
import { moment, onMoment } from "./playhead.js";
import { RING, setScale } from "./projection.js";
import { store } from "./scene.js";
import { turned } from "./sound.js";
import { say } from "./strings.js";

/** @typedef {import("./scene.js").Clause} Clause */
/** @typedef {import("./scene.js").Point} Point */
/** @typedef {import("./projection.js").View} View */
/** @typedef {import("./dots.js").Shown} Shown */

const MANY = 16;
const BOX = { viewBox: "-160 -160 320 320" };
const drawings = { above: svg("svg", { ...BOX, role: "group" }), side: svg("svg", { ...BOX, role: "img" }) };
/** @type {string[]} kinds of ways */
let kinds = [];
let sideAsked = false;
let drawsNext = false;
/** @type {{seconds: number, start: number, each: {go: (share: number) => void}[]}} what moves at the moment */
let movers = { seconds: 1, start: 0, each: [] };

/** Ears, nose and what is where. @param {View} view */
function head(view) {
  const mark = (
    /** @type {number} */ x,
    /** @type {number} */ y,
    /** @type {"front"|"left"|"right"|"behind"|"up"|"down"} */ name,
  ) => svg("text", { x, y, "text-anchor": "middle", class: "where", text: say(name) });
  const ring = svg("circle", { r: RING, class: "ring" });
  const level = svg("line", { x1: -RING, x2: RING, y1: 0, y2: 0, class: "ring" });
  if (view === "side") {
    const profile = "M 12 -13 A 17 20 0 1 0 12 13 L 13 6 L 18 3 L 14 -3 Z M -4 -4 q -5 4 1 9";
    const marks = [mark(0, -149, "up"), mark(0, 155, "down"), mark(136, 4, "front"), mark(-136, 4, "behind")];
    return [ring, level, svg("path", { d: profile, class: "head" }), ...marks];
  }
  const face = "M -18 0 a 18 21 0 1 0 36 0 a 18 21 0 1 0 -36 0 M -5 -20 L 0 -30 L 5 -20";
  const ears = "M -18 -5 q -8 5 0 11 M 18 -5 q 8 5 0 11";
  return [
    ring,
    level,
    svg("path", { d: `${face} ${ears}`, class: "head", transform: `rotate(${-turned()})` }),
    mark(0, -149, "front"),
    mark(-140, 4, "left"),
    mark(140, 4, "right"),
    mark(0, 155, "behind"),
  ];
}

/**
 * Lets a line be drawn on a drawing for the chosen sound.
 * @param {View} view
 */
function drawsLines(view) {
  const drawing = drawings[view];
  drawing.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    const { number: segment, object, scene } = store;
    if (!drawsNext || !object || segment < 0) return;
    event.preventDefault();
    const line = [pointed(drawing, event)];
    const ink = svg("polyline", { class: "ink" });
    drawing.append(ink);
    const step = (/** @type {PointerEvent} */ now) => {
      line.push(pointed(drawing, now));
      ink.setAttribute("points", line.map((each) => each.join(",")).join(" "));
    };
    const end = (/** @type {PointerEvent} */ now) => {
      removeEventListener("pointermove", step);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      ink.remove();
      if (!drawsNext || now.type === "pointercancel") return;
      drawsNext = false;
      const points = thinned(line).map(([x, y]) => [x / RING, -y / RING]);
      store.change({ kind: "draw", segment, object, view, line: points }, scene).then(draw);
    };
    addEventListener("pointermove", step);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  });
}

/** @param {number} segment  @param {Clause} clause */
function fields(segment, clause) {
  const { start } = ends(clause);
  const { scene } = store;
  const number = (
    /** @type {string} */ label,
    /** @type {keyof Point} */ name,
    /** @type {Record<string, number>} */ range,
  ) => {
    const field = html("input", { type: "number", "data-key": `handle-${name}`, ...range, value: String(start[name]) });
    field.addEventListener("change", () => put(scene, segment, clause, "start", { [name]: Number(field.value) }));
    return labelled(label, field);
  };
  const all = kinds.includes(clause.way_kind) ? kinds : [...kinds, clause.way_kind];
  const choice = html(
    "select",
    { "data-key": "move" },
    ...all.map((kind) => html("option", { value: kind, text: say(/** @type {"way-stays"} */ (`way-${kind}`)) })),
  );
  choice.value = clause.way_kind;
  choice.addEventListener("change", () =>
    store.change({ kind: "way", segment, object: clause.object, way: choice.value }, scene),
  );
  return [
    html("p", { class: "words" }, html("strong", { dir: "ltr" }, ...sentence(clause.words))),
    html(
      "div",
      { class: "bar" },
      number(say("elevation"), "elevation_deg", { min: -90, max: 90, step: 5 }),
      number(say("distance"), "distance_m", { min: 0.1, max: 100, step: 0.1 }),
      number(say("spread"), "spread", { min: 0, max: 1, step: 0.1 }),
      labelled(say("way"), choice),
    ),
  ];
}

/** Buttons of the views: the side, and drawing a way. @param {boolean} side  @param {boolean} chosen */
function tools(side, chosen) {
  const pen = button(
    say("drawWay"),
    () => {
      drawsNext = !drawsNext;
      draw();
    },
    { "data-key": "draw", "aria-pressed": drawsNext ? "true" : "false", disabled: !chosen },
  );
  const fromSide = button(
    say("fromSide"),
    () => {
      sideAsked = !side;
      draw();
    },
    { "data-key": "side", "aria-pressed": side ? "true" : "false" },
  );
  return html("div", { class: "bar" }, fromSide, pen, ...(drawsNext ? [html("span", { text: say("drawHint") })] : []));
}

/** What was measured beside what was asked for, as text. @param {import("./measured.js").Measured[]} places */
function measuredList(places) {
  const why = notMeasured();
  if (why) return [html("p", { class: "note", dir: "ltr" }, ...sentence(say("notMeasured", { why })))];
  if (!places.length) return [];
  const lines = places.map((each) => html("li", { dir: "ltr" }, ...sentence(measuredWords(each))));
  return [
    html(
      "details",
      { class: "measured", open: true },
      html("summary", { text: say("measured") }),
      html("ul", {}, ...lines),
    ),
  ];
}

/** Whether any of the sounds has a height at any time. @param {Clause[]} clauses */
function haveHeight(clauses) {
  return clauses.some((clause) => clause.way.some((step) => step[1] !== 0));
}

function draw() {
  const body = /** @type {Element} */ (document.querySelector("#space .body"));
  const { number } = store;
  const segment = store.segments[number];
  if (!segment) {
    movers.each = [];
    replace(body, html("p", { text: say("noSpace") }));
    return;
  }
  const colour = (/** @type {Clause} */ clause) => store.scene?.objects.indexOf(clause.object) ?? 0;
  const placed = segment.clauses.filter((clause) => clause.is_placed);
  const chosen = placed.find((clause) => clause.object === store.object);
  if (!chosen) drawsNext = false;
  const side = sideAsked || haveHeight(placed);
  const seconds = segment.closed_end_s - segment.start_s;
  const measured = measuredIn(number);
  /** @type {{go: (share: number) => void}[]} */
  const each = [];
  for (const view of /** @type {View[]} */ (side ? ["above", "side"] : ["above"])) {
    const drawing = drawings[view];
    const crowded = placed.length > MANY;
    const rows = crowded ? [] : labelRows(placed, view);
    /** @type {Shown[]} */
    const shown = placed.map((clause, at) => ({ drawing, view, number, clause, colour: colour(clause), row: rows[at] ?? 0 }));
    const moves = shown.filter(({ clause }) => ends(clause).moves);
    const live = moves.map((one) => moving(one, seconds));
    each.push(...live);
    const ghosts = measured.flatMap((found) => {
      const clause = placed.find((one) => one.object === found.object);
      const hidden = view === "side" && found.elevation_deg === null;
      if (!clause || found.azimuth_deg === null || hidden) return [];
      const { start, end } = ends(clause);
      return [ghost(view, found, (found.part === "last quarter" ? end : start).distance_m, colour(clause))];
    });
    // From the side, where no key goes from dot to dot, the chosen one lies above those that are drawn at its place.
    const ordered = view === "above" ? shown : shown.toSorted((a, b) => Number(a.clause === chosen) - Number(b.clause === chosen));
    const dots = ordered.flatMap((one) => {
      const turns = one.clause.turns || one.clause.turn_s;
      return ends(one.clause).moves && !turns ? [dot(one, "end"), dot(one, "start")] : [dot(one, "start")];
    });
    const grips = view === "above" && chosen ? handlesOf({ drawing, view, number, clause: chosen, colour: 0, row: 0 }) : [];
    const rings = crowded && chosen ? [halo(view, chosen)] : [];
    drawing.setAttribute("aria-label", view === "above" ? say("space") : say("sideOf", { words: heights(placed) }));
    drawing.classList.toggle("crowded", crowded);
    drawing.classList.toggle("drawn-on", drawsNext);
    const ways = moves.map((one) => way(one, seconds));
    replace(drawing, ...head(view), ...ways, ...ghosts, ...live.map(({ element }) => element), ...dots, ...rings, ...grips);
  }
  movers = { seconds, start: segment.start_s, each };
  if (!body.querySelector(".views")) body.replaceChildren(html("div", { class: "views" }, drawings.above), html("div"));
  const views = /** @type {Element} */ (body.firstElementChild);
  if (side !== views.contains(drawings.side)) side ? views.append(drawings.side) : drawings.side.remove();
  const below = chosen ? fields(number, chosen) : [html("p", { text: say("noPlace") })];
  replace(
    /** @type {Element} */ (body.lastElementChild),
    tools(side, Boolean(chosen)),
    ...below,
    ...measuredList(measured),
  );
  go(moment());
}

/** Heights in words, for who does not see them. @param {Clause[]} clauses */
function heights(clauses) {
  const high = (/** @type {Clause} */ clause) => Math.round(ends(clause).start.elevation_deg);
  return clauses.map((clause) => say("height", { object: clause.object, degrees: high(clause) })).join("; ");
}

/** Move what moves to where it is at a moment. @param {number} seconds */
function go(seconds) {
  const share = (seconds - movers.start) / movers.seconds;
  for (const one of movers.each) one.go(Math.min(1, Math.max(0, share)));
}

/** Show the space. @param {{ways: string[], scale: import("./projection.js").Scale}} known */
export function showSpace(known) {
  kinds = known.ways;
  setScale(known.scale);
  drawsLines("above");
  drawsLines("side");
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !drawsNext) return;
    drawsNext = false;
    draw();
  });
  onMoment((seconds) => {
    const { number } = store;
    const at = store.segments.findIndex((one) => one.start_s <= seconds && seconds < one.closed_end_s);
    if (at === number) go(seconds);
  });
  store.watch(draw);
}
