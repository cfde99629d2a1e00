// The scene as the studio has it, and who looks at it: views never keep a copy of their own.
// @ts-check

import { meant } from "./meant.js";
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
/** How often a change is sent while others change the scene beside it. */
const MOST_TRIES = 4;
/** What leaves the scene as it is. */
const LEAVES = ["copy", "export", "cancel"];

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
 * @param {"json" | "arrayBuffer"} [form]  of what comes back
 * @returns {Promise<any>}
 */
async function ask(name, body, form = "json") {
  const how = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let response;
  let found;
  try {
    response = await fetch(`/api/${name}`, how);
    found = await (response.ok ? response[form]() : response.text());
  } catch {
    throw new Refusal({ error: say("gone"), kind: "gone" });
  }
  if (response.ok) return found;
  let facts = { error: found.trim() };
  try {
    facts = JSON.parse(found);
  } catch {} // a line
  throw new Refusal(facts);
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
  /** How many commands have begun or ended. */
  #steps = 0;
  /** The newest scene that others had a part in. */
  #others = 0;
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

  /** Read the scene anew; what was read before a command of this page was answered says nothing new. */
  async load() {
    const steps = this.#steps;
    const found = await ask("scene");
    if (steps === this.#steps) this.#take(found, this.#revision);
  }

  /** Look now and then for what other tabs and programs do. */
  poll() {
    let gone = false;
    const look = async () => {
      try {
        const steps = this.#steps;
        const found = /** @type {Scene} */ (await ask("state"));
        const seen = this.scene;
        const looks = (/** @type {Scene} */ each) =>
          [each.changed_by_another, each.export.out, each.export.state, each.export.fraction].join();
        if (steps === this.#steps) {
          if (!seen || found.revision > seen.revision) await this.load();
          else if (looks(seen) !== looks(found)) this.#take({ ...seen, ...found }, found.revision);
        }
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

  /** Ends when all that was asked for has been answered. @returns {Promise<any>} */
  settled() {
    return this.#turn;
  }

  /**
   * Do something, after all that was asked for before has been answered; what is wrong is said, and returned.
   * @param {string} name
   * @param {object | (() => object)} [body]  a function says it when its turn comes, of the scene as it is then
   * @returns {Promise<Refusal | null>}
   */
  send(name, body = {}) {
    return this.#inTurn(async () => {
      const refused = await this.#ask(name, typeof body === "function" ? body() : body);
      if (refused) this.#say(refused);
      return refused;
    });
  }

  /**
   * Change the scene. Whatever happens to it until the turn of the change comes, or while it is under way, by this page
   * or by others: the change is of what it was meant for, or that is not there any more, and this is said.
   * @param {object | (() => object)} change  a function says it when its turn comes, of the scene as it is then
   * @param {Scene | null} [seen]  the scene that it was made of; without it, the one that is shown
   * @returns {Promise<Refusal | null>}
   */
  change(change, seen = this.scene) {
    return this.#inTurn(async () => {
      const [wish, from] = typeof change === "function" ? [change(), this.scene] : [change, seen];
      let refused = new Refusal({ error: say("stale"), kind: "StaleError" });
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const now = this.scene;
        const found = now && from ? meant(wish, from, now, this.#others <= from.revision) : wish;
        if (!found) break;
        const answer = await this.#ask("change", { revision: this.#revision, change: found });
        if (!answer) return null;
        refused = answer;
        if (refused.facts.kind !== "StaleError") break;
      }
      this.#say(refused);
      return refused;
    });
  }

  /** @param {"undo" | "redo"} which */
  step(which) {
    return this.send(which, () => ({ revision: this.#revision }));
  }

  /** @template T  @param {() => Promise<T>} act  @returns {Promise<T>} */
  #inTurn(act) {
    const answer = this.#turn.then(act);
    this.#turn = answer.catch(() => null);
    return answer;
  }

  /** @param {string} name  @param {object} body  @returns {Promise<Refusal | null>} what is wrong, not said yet */
  async #ask(name, body) {
    this.#steps++;
    try {
      const found = await ask(name, body);
      this.#steps++;
      this.#take(found, this.#revision + (LEAVES.includes(name) ? 0 : 1));
      return null;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#steps++;
      if (error.facts.kind !== "gone") await this.load().catch(() => null);
      return error;
    }
  }

  /** Say what is wrong, and show the scene as it is. @param {Refusal} refused */
  #say({ message, facts }) {
    this.tell();
    this.complain(facts.kind === "StaleError" ? say("stale") : message, facts.kind);
  }

  get #revision() {
    return this.scene?.revision ?? 0;
  }

  /** @param {string} text  @returns {Promise<any>} what a prompt says */
  async read(text) {
    return ask("read", { text });
  }

  /** @param {object} passage  @returns {Promise<ArrayBuffer>}  nothing, if the scene is another by now */
  async hear(passage) {
    return ask("hear", { revision: this.#revision, ...passage }, "arrayBuffer");
  }

  /** @param {string} name  @param {object} [body] */
  async json(name, body) {
    return ask(name, body);
  }

  /**
   * Show a scene, unless a later one is shown.
   * @param {Scene} scene
   * @param {number} own  the revision that this page alone would have made
   */
  #take(scene, own) {
    if (scene.revision < this.#revision) return;
    if (scene.revision > own) this.#others = scene.revision;
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
