// What hands do to a sound in space: where its ends are, and where they are put.
// @ts-check

import { wrapped } from "./projection.js";
import { point, store } from "./scene.js";

/** @typedef {import("./scene.js").Clause} Clause */
/** @typedef {import("./scene.js").Point} Point */
/** @typedef {"start" | "end"} End */

/** Metres that keys go through. */
const DISTANCES_M = [0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100];
const MOST_POINTS = 400;

/** @param {number} value  @param {number} least  @param {number} most */
export function within(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/** @param {Point} place  as a person would say it */
function plain(place) {
  return {
    azimuth_deg: wrapped(Math.round(place.azimuth_deg * 10) / 10),
    elevation_deg: Math.round(within(place.elevation_deg, -90, 90)),
    distance_m: within(place.distance_m, 0.1, 10000),
    spread: Math.round(within(place.spread, 0, 1) * 100) / 100,
  };
}

/**
 * @param {Clause} clause
 * @returns {{start: Point, end: Point, moves: boolean}}
 */
export function ends(clause) {
  const last = clause.way.length - 1;
  return { start: point(clause.way[0]), end: point(clause.way[last]), moves: last > 0 };
}

/**
 * Put a sound elsewhere.
 * @param {import("./scene.js").Scene | null} seen  where it was taken hold of
 * @param {number} segment
 * @param {Clause} clause
 * @param {End} which
 * @param {Partial<Point>} changes
 */
export function put(seen, segment, clause, which, changes) {
  return store.change(moved(segment, clause, which, changes), seen);
}

/**
 * Put a sound elsewhere by a step from where it is when the steps before are done.
 * @param {number} segment
 * @param {Clause} clause
 * @param {End} which
 * @param {(place: Point) => Partial<Point>} step
 */
export function nudge(segment, clause, which, step) {
  return store.change(() => {
    const now = store.segments[segment]?.clauses.find((each) => each.object === clause.object) ?? clause;
    return moved(segment, now, which, step(ends(now)[which]));
  });
}

/**
 * The change that puts a sound elsewhere.
 * @param {number} segment
 * @param {Clause} clause
 * @param {End} which
 * @param {Partial<Point>} changes
 */
function moved(segment, clause, which, changes) {
  const { start, end, moves } = ends(clause);
  const places = { start, end };
  places[which] = { ...places[which], ...changes };
  const change = { kind: "put", segment, object: clause.object, start: plain(places.start) };
  return moves ? { ...change, end: plain(places.end) } : change;
}

/** @param {number} metres  @param {number} steps  @returns {number} metres that many steps farther */
export function farther(metres, steps) {
  const nearest = DISTANCES_M.reduce((best, each, at) => {
    const off = (/** @type {number} */ m) => Math.abs(Math.log(m / metres));
    return off(each) < off(DISTANCES_M[best]) ? at : best;
  }, 0);
  return DISTANCES_M[within(nearest + steps, 0, DISTANCES_M.length - 1)];
}

/** @param {number} spread  @param {number} steps  of a tenth */
export function wider(spread, steps) {
  return within(Math.round(10 * spread + steps) / 10, 0, 1);
}

/**
 * What a key does to a place: arrows turn and lift it, with Alt it comes nearer, with Alt and Shift it gets wider.
 * @param {KeyboardEvent} event
 * @returns {((place: Point) => Partial<Point>) | null}
 */
export function keyed(event) {
  const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  const left = { ArrowLeft: 1, ArrowRight: -1 }[event.key];
  if (event.ctrlKey || event.metaKey) return null;
  if (event.altKey) {
    if (up === undefined) return null;
    if (event.shiftKey) return (now) => ({ spread: wider(now.spread, up) });
    return (now) => ({ distance_m: farther(now.distance_m, up) });
  }
  const step = event.shiftKey ? 1 : 5;
  if (left !== undefined) return (now) => ({ azimuth_deg: now.azimuth_deg + left * step });
  if (up !== undefined) return (now) => ({ elevation_deg: within(now.elevation_deg + up * step, -90, 90) });
  return null;
}

/**
 * Where the pointer is on a drawing.
 * @param {SVGSVGElement} drawing
 * @param {PointerEvent} event
 * @returns {[number, number]}
 */
export function pointed(drawing, event) {
  const matrix = drawing.getScreenCTM();
  if (!matrix) return [0, 0];
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  return [x, y];
}

/**
 * Follow the pointer until it is lifted; what is taken from it is where it was.
 * @param {SVGSVGElement} drawing
 * @param {PointerEvent} event
 * @param {(at: [number, number], now: PointerEvent) => void} follow
 * @param {(moved: boolean) => void} end
 */
export function drag(drawing, event, follow, end) {
  event.preventDefault();
  event.stopPropagation();
  const [fromX, fromY] = pointed(drawing, event);
  let moved = false;
  const step = (/** @type {PointerEvent} */ now) => {
    const at = pointed(drawing, now);
    if (!moved && Math.hypot(at[0] - fromX, at[1] - fromY) < 4) return;
    moved = true;
    follow(at, now);
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

/**
 * Fewer points of a line that say the same.
 * @param {[number, number][]} line
 */
export function thinned(line) {
  const every = Math.ceil(line.length / MOST_POINTS);
  return line.filter((_, at) => at % every === 0 || at === line.length - 1);
}
