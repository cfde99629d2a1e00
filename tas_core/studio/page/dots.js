// Sounds as they are drawn: dots and their handles, ways, the place at the moment that is heard, and measured places.
// @ts-check

import { svg } from "./elements.js";
import { drag, ends, farther, keyed, nudge, put, wider, within } from "./hands.js";
import { measuredWords } from "./measured.js";
import { RING, drawn, drawnAt, lineOf, metresAt, radius, wrapped } from "./projection.js";
import { store } from "./scene.js";
import { say } from "./strings.js";

/** @typedef {import("./scene.js").Clause} Clause */
/** @typedef {import("./scene.js").Point} Point */
/** @typedef {import("./projection.js").View} View */
/** @typedef {{drawing: SVGSVGElement, view: View, number: number, clause: Clause, colour: number, row: number}} Shown  a
 * sound of a segment in a drawing; the row is that of its label, behind those of sounds that are drawn at the same place */

const STEEP_DEG = 75;
const SPREAD_FROM = 9;
const SPREAD_PER = 26;
const HANDLE_FAR = 22;
const LONGEST_LABEL = 30;
const LABEL_ROW = 12;

/** @param {string} name  @returns {string} no longer than a drawing has room for */
function short(name) {
  const letters = [...name];
  return letters.length > LONGEST_LABEL ? `${letters.slice(0, LONGEST_LABEL - 1).join("")}…` : name;
}

/**
 * Where a dot is dragged to.
 * @param {Point} place
 * @param {View} view
 * @param {[number, number]} at
 * @param {boolean} farToo  whether its distance follows
 * @returns {Point}
 */
function dragged(place, view, [x, y], farToo) {
  const degrees = (/** @type {number} */ radians) => Math.round((radians * 180) / Math.PI);
  const far = radius(place.distance_m);
  if (view === "side") return { ...place, elevation_deg: degrees(Math.asin(within(-y / far, -1, 1))) };
  const found = { ...place, azimuth_deg: degrees(Math.atan2(-x, -y)) };
  const out = Math.hypot(x, y);
  if (Math.abs(place.elevation_deg) > STEEP_DEG)
    found.elevation_deg = Math.sign(place.elevation_deg) * degrees(Math.acos(within(out / far, 0, 1)));
  else if (farToo) found.distance_m = metresAt(out / Math.cos((place.elevation_deg * Math.PI) / 180));
  return found;
}

/**
 * A dot that is dragged, from above by keys as well.
 * @param {Shown} shown
 * @param {"start" | "end"} which
 */
export function dot(shown, which) {
  const { drawing, view, number, clause, colour } = shown;
  const { scene } = store;
  const places = ends(clause);
  const place = places[which];
  const [x, y] = drawn(place, view);
  const chosen = store.object === clause.object;
  const label = say(which === "start" ? (places.moves ? "placeStart" : "place") : "placeEnd", {
    object: clause.object,
    words: clause.words,
  });
  const reached =
    view === "side"
      ? {}
      : {
          tabindex: 0,
          role: "slider",
          "data-key": `dot-${clause.object}-${which}`,
          "aria-label": label,
          "aria-valuemin": -180,
          "aria-valuemax": 180,
          "aria-valuenow": Math.round(wrapped(place.azimuth_deg)),
          "aria-valuetext": clause.words,
        };
  const size = places.moves ? (which === "start" ? 7 : 5) : 9;
  const group = svg(
    "g",
    {
      class: `dot colour-${colour % 6}${chosen ? " chosen" : ""}${places.moves ? " moving" : ""}`,
      transform: `translate(${x} ${y})`,
      "data-object": clause.object,
      "data-end": which,
      ...reached,
    },
    svg("title", { text: label }),
    svg("circle", { r: SPREAD_FROM + SPREAD_PER * place.spread, class: "spread" }),
    svg("circle", { r: size }),
    ...(which === "start" ? [svg("text", { ...besideOf(x, y, shown.row), text: short(clause.object) })] : []),
  );
  if (view === "above") {
    group.addEventListener("focus", () => store.choose(clause.object));
    group.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = keyed(event);
      if (!step) return;
      nudge(number, clause, which, step);
      event.preventDefault();
      event.stopPropagation();
    });
  }
  group.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (drawing.classList.contains("drawn-on")) return;
    let at = place;
    const follow = (/** @type {[number, number]} */ to, /** @type {PointerEvent} */ now) => {
      at = dragged(place, view, to, now.shiftKey);
      group.setAttribute("transform", `translate(${drawn(at, view).join(" ")})`);
    };
    drag(drawing, event, follow, (moved) => {
      if (moved) put(scene, number, clause, which, at);
      else if (view === "above") group.focus();
      else store.choose(clause.object);
    });
  });
  return group;
}

/**
 * Where a label stands beside a dot at x, y: towards the middle, where no handle is.
 * @param {number} x
 * @param {number} y
 * @param {number} row
 */
function besideOf(x, y, row) {
  const anchor = x < -70 ? "start" : x > 70 ? "end" : "middle";
  const aside = anchor === "middle" ? 0 : anchor === "start" ? -9 : 9;
  return { x: aside, y: y > 0 ? -14 - LABEL_ROW * row : 23 + LABEL_ROW * row, "text-anchor": anchor };
}

/**
 * Rows of the labels of sounds, so that those of one place do not cover each other.
 * @param {Clause[]} clauses
 * @param {View} view
 * @returns {number[]}
 */
export function labelRows(clauses, view) {
  const places = clauses.map((clause) => drawn(ends(clause).start, view));
  return places.map(([x, y], at) => {
    const near = ([otherX, otherY] = [0, 0]) => Math.abs(x - otherX) < 40 && Math.abs(y - otherY) < LABEL_ROW;
    return Math.min(6, places.slice(0, at).filter((other) => near(other)).length);
  });
}

/**
 * Handles of the chosen sound, from above: a rhombus for its distance, a ring for its spread.
 * @param {Shown} shown
 */
export function handlesOf({ drawing, number, clause }) {
  const place = ends(clause).start;
  const [x, y] = drawn(place, "above");
  const far = Math.hypot(x, y) || 1;
  const [outX, outY] = Math.hypot(x, y) < 1 ? [0, -1] : [x / far, y / far];
  const inward = far > RING * 1.3 ? -1 : 1;
  const slider = (
    /** @type {"distance" | "spread"} */ name,
    /** @type {Record<string, any>} */ values,
    /** @type {any} */ shape,
    /** @type {(now: Point, steps: number) => Partial<Point>} */ step,
  ) => {
    const key = `grip-${clause.object}-${name}`;
    const label = say(name === "distance" ? "distanceOf" : "spreadOf", { object: clause.object });
    const handle = svg(
      "g",
      { class: `grip ${name}`, tabindex: 0, role: "slider", "data-key": key, "aria-label": label, ...values },
      svg("title", { text: label }),
      shape,
    );
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, Home: -99, End: 99 }[event.key];
      if (steps === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      nudge(number, clause, "start", (now) => step(now, steps));
      event.preventDefault();
      event.stopPropagation();
    });
    return handle;
  };
  const distance = slider(
    "distance",
    {
      "aria-valuemin": 0.1,
      "aria-valuemax": 100,
      "aria-valuenow": place.distance_m,
      "aria-valuetext": say("metres", { metres: place.distance_m }),
      transform: `translate(${x + inward * HANDLE_FAR * outX} ${y + inward * HANDLE_FAR * outY})`,
    },
    svg("path", { d: "M 0 -7 L 7 0 L 0 7 L -7 0 Z" }),
    (now, steps) => ({ distance_m: farther(now.distance_m, steps) }),
  );
  const lean = Math.cos((place.elevation_deg * Math.PI) / 180) || 1;
  drags(drawing, distance, number, clause, ([toX, toY]) => {
    const along = toX * outX + toY * outY - inward * HANDLE_FAR;
    const metres = metresAt(Math.max(1, along / lean));
    const [nowX, nowY] = drawn({ ...place, distance_m: metres }, "above");
    distance.setAttribute(
      "transform",
      `translate(${nowX + inward * HANDLE_FAR * outX} ${nowY + inward * HANDLE_FAR * outY})`,
    );
    return { distance_m: metres };
  });
  const wide = (/** @type {number} */ share) => SPREAD_FROM + SPREAD_PER * share + 12;
  const along = (/** @type {number} */ share) => `translate(${x - outY * wide(share)} ${y + outX * wide(share)})`;
  const spread = slider(
    "spread",
    {
      "aria-valuemin": 0,
      "aria-valuemax": 1,
      "aria-valuenow": place.spread,
      "aria-valuetext": say("share", { percent: Math.round(100 * place.spread) }),
      transform: along(place.spread),
    },
    svg("circle", { r: 6 }),
    (now, steps) => ({ spread: wider(now.spread, steps) }),
  );
  drags(drawing, spread, number, clause, ([toX, toY]) => {
    const out = Math.hypot(toX - x, toY - y) - wide(0);
    const share = within(Math.round((10 * out) / SPREAD_PER) / 10, 0, 1);
    spread.setAttribute("transform", along(share));
    return { spread: share };
  });
  return [distance, spread];
}

/**
 * Lets a handle be dragged.
 * @param {SVGSVGElement} drawing
 * @param {any} handle
 * @param {number} number
 * @param {Clause} clause
 * @param {(at: [number, number]) => Partial<Point>} follow
 */
function drags(drawing, handle, number, clause, follow) {
  const { scene } = store;
  handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    /** @type {Partial<Point>} */
    let changes = {};
    drag(
      drawing,
      event,
      (at) => (changes = follow(at)),
      (moved) => (moved ? put(scene, number, clause, "start", changes) : handle.focus()),
    );
  });
}

/**
 * A ring around the chosen sound, which is seen among many.
 * @param {View} view
 * @param {Clause} clause
 */
export function halo(view, clause) {
  const [x, y] = drawn(ends(clause).start, view);
  return svg("circle", { class: "halo", r: 12, transform: `translate(${x} ${y})` });
}

/**
 * A way, with an arrow that says which way it goes.
 * @param {Shown} shown
 * @param {number} seconds
 */
export function way({ view, clause, colour }, seconds) {
  const line = lineOf(clause, seconds, view);
  const chosen = store.object === clause.object ? " chosen" : "";
  const middle = Math.max(1, Math.round(line.length * 0.6));
  const [[fromX, fromY], [toX, toY]] = [line[middle - 1], line[Math.min(middle, line.length - 1)]];
  const turned = (Math.atan2(toY - fromY, toX - fromX) * 180) / Math.PI;
  return svg(
    "g",
    { class: `colour-${colour % 6}` },
    svg("polyline", { points: line.map((each) => each.join(",")).join(" "), class: `way${chosen}` }),
    svg("path", { d: "M -5 -4 L 4 0 L -5 4 Z", class: "arrow", transform: `translate(${toX} ${toY}) rotate(${turned})` }),
  );
}

/**
 * The place of what moves at a moment; the returned function moves it.
 * @param {Shown} shown
 * @param {number} seconds  that its way takes
 * @returns {{element: any, go: (share: number) => void}}
 */
export function moving({ view, clause, colour }, seconds) {
  const element = svg("circle", { r: 8, class: `now colour-${colour % 6}` });
  const go = (/** @type {number} */ share) => {
    const [x, y] = drawnAt(clause, share, seconds, view);
    element.setAttribute("transform", `translate(${x} ${y})`);
  };
  return { element, go };
}

/**
 * A measured place beside the asked one.
 * @param {View} view
 * @param {import("./measured.js").Measured} measured
 * @param {number} distance_m  that was asked for: none is measured
 * @param {number} colour
 */
export function ghost(view, measured, distance_m, colour) {
  const place = {
    azimuth_deg: measured.azimuth_deg ?? 0,
    elevation_deg: measured.elevation_deg ?? 0,
    distance_m,
    spread: 0,
  };
  const [x, y] = drawn(place, view);
  return svg(
    "g",
    { class: `ghost colour-${colour % 6}`, transform: `translate(${x} ${y})` },
    svg("title", { text: measuredWords(measured) }),
    svg("circle", { r: 12 }),
    svg("path", { d: "M -3 0 L 3 0 M 0 -3 L 0 3" }),
  );
}
