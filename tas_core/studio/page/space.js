// Where sounds are at the cursor, seen from above: dots that are dragged, ways that are drawn.
// @ts-check

import { button, html, labelled, replace, svg } from "./elements.js";
import { point, store } from "./scene.js";
import { say } from "./strings.js";

/** @typedef {import("./scene.js").Clause} Clause */
/** @typedef {import("./scene.js").Point} Point */

const USUAL_M = 1.4;
const RADIUS = 100;
const PER_DOUBLE = 22;
const NEAREST = 30;
const FARTHEST = 145;
const STEP_DEG = 5;

/** @param {number} metres */
function radius(metres) {
  return Math.min(FARTHEST, Math.max(NEAREST, RADIUS + PER_DOUBLE * Math.log2(metres / USUAL_M)));
}

/** @param {Point} place  @returns {[number, number]} on the drawing: front is up, left is left */
function drawn(place) {
  const angle = (place.azimuth_deg * Math.PI) / 180;
  const far = radius(place.distance_m);
  return [-far * Math.sin(angle), -far * Math.cos(angle)];
}

/** @param {number} degrees  @returns {number} -180 to 180 */
function wrapped(degrees) {
  const turned = ((((degrees + 180) % 360) + 360) % 360) - 180;
  return turned === -180 ? 180 : turned;
}

/** @param {Point} place */
function plain(place) {
  return {
    azimuth_deg: wrapped(Math.round(place.azimuth_deg * 10) / 10),
    elevation_deg: Math.round(place.elevation_deg),
    distance_m: place.distance_m,
    spread: Math.round(place.spread * 100) / 100,
  };
}

/**
 * @param {Clause} clause
 * @returns {{start: Point, end: Point, moves: boolean}}
 */
function ends(clause) {
  const last = clause.way.length - 1;
  return { start: point(clause.way[0]), end: point(clause.way[last]), moves: last > 0 };
}

/**
 * Put a sound elsewhere.
 * @param {number} segment
 * @param {Clause} clause
 * @param {"start" | "end"} which
 * @param {Partial<Point>} changes
 */
function put(segment, clause, which, changes) {
  return store.change(moved(segment, clause, which, changes));
}

/**
 * Put a sound elsewhere by a step from where it is when the steps before are done.
 * @param {number} segment
 * @param {Clause} clause
 * @param {"start" | "end"} which
 * @param {(place: Point) => Partial<Point>} step
 */
function nudge(segment, clause, which, step) {
  return store.change(() => {
    const now = store.segments[segment]?.clauses.find((each) => each.object === clause.object) ?? clause;
    return moved(segment, now, which, step(ends(now)[which]));
  });
}

/**
 * The change that puts a sound elsewhere.
 * @param {number} segment
 * @param {Clause} clause
 * @param {"start" | "end"} which
 * @param {Partial<Point>} changes
 */
function moved(segment, clause, which, changes) {
  const { start, end, moves } = ends(clause);
  const places = { start, end };
  places[which] = { ...places[which], ...changes };
  const change = { kind: "put", segment, object: clause.object, start: plain(places.start) };
  return moves ? { ...change, end: plain(places.end) } : change;
}

/** The drawing, whose dots follow the pointer. */
const drawing = svg("svg", { viewBox: "-160 -160 320 320", role: "group" });

/**
 * @param {number} segment
 * @param {Clause} clause
 * @param {"start" | "end"} which
 * @param {number} colour
 */
function dot(segment, clause, which, colour) {
  const { start, end } = ends(clause);
  const place = which === "start" ? start : end;
  const [x, y] = drawn(place);
  const label = say(which === "start" ? "place" : "placeEnd", { object: clause.object, words: clause.words });
  const chosen = store.object === clause.object;
  const group = svg(
    "g",
    {
      class: `dot colour-${colour % 6}${chosen ? " chosen" : ""}`,
      transform: `translate(${x} ${y})`,
      tabindex: 0,
      role: "slider",
      "data-key": `dot-${clause.object}-${which}`,
      "data-object": clause.object,
      "data-end": which,
      "aria-label": label,
      "aria-valuemin": -180,
      "aria-valuemax": 180,
      "aria-valuenow": Math.round(wrapped(place.azimuth_deg)),
      "aria-valuetext": clause.words,
    },
    svg("circle", { r: 9 + 26 * place.spread, class: "spread" }),
    svg("circle", { r: which === "start" ? 9 : 6 }),
    svg("text", { y: y > 0 ? 24 : -14, "text-anchor": "middle", text: clause.object }),
  );
  group.addEventListener("focus", () => store.choose(clause.object));
  group.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = event.shiftKey ? 1 : STEP_DEG;
    const turns = { ArrowLeft: step, ArrowRight: -step }[event.key];
    const rises = { ArrowUp: step, ArrowDown: -step }[event.key];
    if (turns !== undefined) nudge(segment, clause, which, (now) => ({ azimuth_deg: now.azimuth_deg + turns }));
    else if (rises !== undefined)
      nudge(segment, clause, which, (now) => ({
        elevation_deg: Math.min(90, Math.max(-90, now.elevation_deg + rises)),
      }));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  group.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    event.preventDefault();
    let at = place;
    let moved = false;
    const follow = (/** @type {PointerEvent} */ now) => {
      const box = drawing.getBoundingClientRect();
      const scale = 320 / Math.min(box.width, box.height);
      const dx = (now.clientX - box.left - box.width / 2) * scale;
      const dy = (now.clientY - box.top - box.height / 2) * scale;
      if (!moved && Math.hypot(dx - x, dy - y) < 4) return;
      moved = true;
      at = { ...place, azimuth_deg: Math.round((Math.atan2(-dx, -dy) * 180) / Math.PI) };
      if (now.shiftKey) {
        const metres = USUAL_M * 2 ** ((Math.hypot(dx, dy) - RADIUS) / PER_DOUBLE);
        at.distance_m = Math.min(100, Math.max(0.1, Math.round(metres * 10) / 10));
      }
      const [nowX, nowY] = drawn(at);
      group.setAttribute("transform", `translate(${nowX} ${nowY})`);
    };
    const end = () => {
      removeEventListener("pointermove", follow);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      if (moved) put(segment, clause, which, at);
      else group.focus();
    };
    addEventListener("pointermove", follow);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  });
  return group;
}

/** @param {Clause} clause  @param {number} colour */
function way(clause, colour) {
  const points = clause.way.map((step) => drawn(point(step)).join(",")).join(" ");
  return svg("polyline", { points, class: `way colour-${colour % 6}` });
}

/** Ears, nose and what is where. */
function head() {
  const mark = (/** @type {number} */ x, /** @type {number} */ y, /** @type {"front"|"left"|"right"|"behind"} */ name) =>
    svg("text", { x, y, "text-anchor": "middle", class: "where", text: say(name) });
  return [
    svg("circle", { r: RADIUS, class: "ring" }),
    svg("line", { x1: -RADIUS, x2: RADIUS, y1: 0, y2: 0, class: "ring" }),
    svg("path", { d: "M -18 0 a 18 21 0 1 0 36 0 a 18 21 0 1 0 -36 0 M -5 -20 L 0 -30 L 5 -20", class: "head" }),
    svg("path", { d: "M -18 -5 q -8 5 0 11 M 18 -5 q 8 5 0 11", class: "head" }),
    mark(0, -148, "front"),
    mark(-140, 4, "left"),
    mark(140, 4, "right"),
    mark(0, 156, "behind"),
  ];
}

/** @param {number} segment  @param {Clause} clause */
function handles(segment, clause) {
  const { start, end, moves } = ends(clause);
  const number = (
    /** @type {string} */ label,
    /** @type {keyof Point} */ name,
    /** @type {Record<string, number>} */ range,
  ) => {
    const field = html("input", { type: "number", "data-key": `handle-${name}`, ...range, value: String(start[name]) });
    field.addEventListener("change", () => put(segment, clause, "start", { [name]: Number(field.value) }));
    return labelled(label, field);
  };
  const move = () =>
    store.change({
      kind: "put",
      segment,
      object: clause.object,
      start: plain(start),
      ...(moves ? {} : { end: plain({ ...end, azimuth_deg: start.azimuth_deg + (start.azimuth_deg > 0 ? -40 : 40) }) }),
    });
  return html(
    "div",
    { class: "bar" },
    html("strong", { dir: "auto", text: clause.words }),
    number(say("elevation"), "elevation_deg", { min: -90, max: 90, step: 5 }),
    number(say("distance"), "distance_m", { min: 0.1, max: 100, step: 0.1 }),
    number(say("spread"), "spread", { min: 0, max: 1, step: 0.1 }),
    button(say(moves ? "stay" : "move"), move, { "data-key": "move" }),
  );
}

function draw() {
  const body = /** @type {Element} */ (document.querySelector("#space .body"));
  const { number } = store;
  const segment = store.segments[number];
  if (!segment) {
    replace(body, html("p", { text: say("noSpace") }));
    return;
  }
  const colour = (/** @type {Clause} */ clause) => store.scene?.objects.indexOf(clause.object) ?? 0;
  const placed = segment.clauses.filter((clause) => clause.is_placed);
  const dots = placed.flatMap((clause) => {
    /** @type {("start" | "end")[]} */
    const both = ends(clause).moves ? ["end", "start"] : ["start"];
    return both.map((which) => dot(number, clause, which, colour(clause)));
  });
  drawing.setAttribute("aria-label", say("space"));
  const ways = placed.filter((clause) => clause.way.length > 1).map((clause) => way(clause, colour(clause)));
  replace(drawing, ...head(), ...ways, ...dots);
  const chosen = placed.find((clause) => clause.object === store.object);
  const below = chosen ? handles(number, chosen) : html("p", { text: say("noPlace") });
  if (body.firstElementChild !== drawing) body.replaceChildren(drawing, html("div"));
  replace(/** @type {Element} */ (body.lastElementChild), below);
}

/** Show the space. */
export function showSpace() {
  store.watch(draw);
}
