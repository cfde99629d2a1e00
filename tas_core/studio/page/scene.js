// The scene as the studio has it, and who looks at it: views never keep a copy of their own.
// @ts-check

import { say } from "./strings.js";

/**
 * @typedef {{object: string, words: string, is_placed: boolean, way: [number, number, number, number][],
 *   way_kind: string, turns?: number, turn_s?: number}} Clause
 * @typedef {{start_s: number, end_s: number | null, closed_end_s: number, text: string, clauses: Clause[],
 *   notes: string[]}} Segment
 * @typedef {{revision: number, file: string, exists: boolean, saved: boolean, undo: number, redo: number,
 *   left: boolean, changed_by_another: boolean, note: string, duration_s: number, text: string, segments: Segment[],
 *   objects: string[], sound: string, formats: string[], names: Record<string, string>,
 *   export: {state: string, out: string, fraction: number, error: string, warnings: string[]}}} Scene
 * @typedef {{azimuth_deg: number, elevation_deg: number, distance_m: number, spread: number}} Point
 */

const POLL_MS = 2000;

/** What the studio answers that is wrong. */
export class Refusal extends Error {
  /** @param {{error: string, kind?: string, text?: string, span?: [number, number]}} facts */
  constructor(facts) {
    super(facts.error);
    this.facts = facts;
  }
}

/**
 * Ask the studio.
 * @param {string} name
 * @param {object} [body]  what is sent; without it, something is read
 * @returns {Promise<Response>}
 */
async function ask(name, body) {
  const how = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(`/api/${name}`, how);
  } catch {
    throw new Refusal({ error: say("gone"), kind: "gone" });
  }
  if (!response.ok) {
    const text = await response.text();
    let facts = { error: text.trim() };
    try {
      facts = JSON.parse(text);
    } catch {} // a line
    throw new Refusal(facts);
  }
  return response;
}

class Store {
  /** @type {Scene | null} */
  scene = null;
  /** @type {number} seconds */
  cursor = 0;
  /** @type {string} the chosen sound */
  object = "";
  /** @type {Set<() => void>} */
  #watchers = new Set();
  /** Ends when all that was asked for has been answered. @type {Promise<any>} */
  #turn = Promise.resolve();
  /** @type {(message: string, kind?: string) => void} */
  complain = () => {};

  /** @param {() => void} watcher  called after each change */
  watch(watcher) {
    this.#watchers.add(watcher);
  }

  /** Tell all views. */
  tell() {
    for (const watcher of this.#watchers) watcher();
  }

  /** @returns {Segment[]} */
  get segments() {
    return this.scene?.segments ?? [];
  }

  /** @returns {number} the segment at the cursor, -1 if there is none */
  get number() {
    return this.segments.findIndex((each) => each.start_s <= this.cursor && this.cursor < each.closed_end_s);
  }

  /** @param {number} seconds */
  go(seconds) {
    const last = Math.max(0, (this.scene?.duration_s ?? 0) - 0.001);
    this.cursor = Math.min(Math.max(0, seconds), last);
    this.tell();
  }

  /** @param {string} name */
  choose(name) {
    if (this.object === name) return;
    this.object = name;
    this.tell();
  }

  /** Read the scene anew. */
  async load() {
    const found = await (await ask("scene")).json();
    this.#take(found);
  }

  /** Look now and then for what other tabs and programs do. */
  poll() {
    let gone = false;
    const look = async () => {
      try {
        const found = /** @type {Scene} */ (await (await ask("state")).json());
        const seen = this.scene;
        const looks = (/** @type {Scene} */ each) =>
          [each.changed_by_another, each.export.out, each.export.state, each.export.fraction].join();
        if (!seen || found.revision > seen.revision) await this.load();
        else if (looks(seen) !== looks(found)) this.#take({ ...seen, ...found });
        gone = false;
      } catch (error) {
        if (!gone && error instanceof Refusal) this.complain(error.message, error.facts.kind);
        gone = true;
      }
      const busy = this.scene?.export.state === "running";
      setTimeout(look, busy ? POLL_MS / 8 : POLL_MS);
    };
    setTimeout(look, POLL_MS);
  }

  /**
   * Change something, after all that was asked for before has been answered; what is wrong is said, and returned.
   * @param {string} name
   * @param {object | (() => object)} [body]  a function says it when its turn comes, of the scene as it is then
   * @returns {Promise<Refusal | null>}
   */
  send(name, body = {}) {
    const answer = this.#turn.then(() => this.#ask(name, typeof body === "function" ? body() : body));
    this.#turn = answer.catch(() => null);
    return answer;
  }

  /** @param {string} name  @param {object} body  @returns {Promise<Refusal | null>} */
  async #ask(name, body) {
    try {
      this.#take(await (await ask(name, body)).json());
      return null;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.facts.kind !== "gone") await this.load();
      this.complain(error.facts.kind === "StaleError" ? say("stale") : error.message, error.facts.kind);
      return error;
    }
  }

  /**
   * Change the scene. What is said at once is of the scene that is shown, and refused if that is no more when its turn
   * comes; what a function says then is of the scene as it is then, so that keys may be pressed faster than answered.
   * @param {object | (() => object)} change
   */
  change(change) {
    if (typeof change === "function") return this.send("change", () => ({ revision: this.#revision, change: change() }));
    return this.send("change", { revision: this.#revision, change });
  }

  /** @param {"undo" | "redo"} which */
  step(which) {
    return this.send(which, () => ({ revision: this.#revision }));
  }

  get #revision() {
    return this.scene?.revision ?? 0;
  }

  /** @param {string} text  @returns {Promise<any>} what a prompt says */
  async read(text) {
    return (await ask("read", { text })).json();
  }

  /** @param {object} passage  @returns {Promise<ArrayBuffer>} */
  async hear(passage) {
    return (await ask("hear", { revision: this.scene?.revision ?? 0, ...passage })).arrayBuffer();
  }

  /** @param {string} name  @param {object} [body] */
  async json(name, body) {
    return (await ask(name, body)).json();
  }

  /** @param {Scene} scene */
  #take(scene) {
    this.scene = scene;
    this.tell();
  }
}

export const store = new Store();

/** @param {number} seconds */
export function shown(seconds) {
  return String(Math.round(seconds * 1000) / 1000);
}

/**
 * A place of a way.
 * @param {[number, number, number, number]} step
 * @returns {Point}
 */
export function point(step) {
  const [azimuth_deg, elevation_deg, distance_m, spread] = step;
  return { azimuth_deg, elevation_deg, distance_m, spread };
}
