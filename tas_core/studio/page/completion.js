// Names and places offered while words are written: chosen by the arrows and Enter, or by the pointer.
// @ts-check

import { html, replace } from "./elements.js";
import { say } from "./strings.js";

/** @typedef {{objects: string[], places: string[]}} Known */

const MOST = 6;
const SHORTEST = 2;
const MOST_WORDS = 8;

/**
 * What half-written last words may become: the longest beginning of a place or a name that they are.
 * @param {string} text  up to the caret
 * @param {Known} known
 * @returns {{begun: number, words: string[]}}  where it begins, and what it may be
 */
export function completions(text, known) {
  const clause = text.search(/[^,;\n]*$/);
  const starts = [...text.slice(clause).matchAll(/\S+/g)].map((word) => clause + word.index).slice(-MOST_WORDS);
  for (const begun of starts) {
    const written = text.slice(begun).toLowerCase().replace(/\s+/g, " ");
    if (written.trim().length < SHORTEST) continue;
    const fits = (/** @type {string} */ each) => each.startsWith(written) && each !== written;
    const words = [...known.places.filter(fits), ...known.objects.filter(fits)].slice(0, MOST);
    if (words.length) return { begun, words };
  }
  return { begun: text.length, words: [] };
}

/**
 * Offers words below a field.
 * @param {HTMLTextAreaElement} area
 * @param {string} key  of the field
 * @param {() => Known} known
 * @returns {Element}  the list
 */
export function offersFor(area, key, known) {
  const list = html("ul", { role: "listbox", id: `${key}-offers`, "aria-label": say("offers") });
  const hint = html("span", { class: "hint", "aria-live": "polite" });
  let at = -1;
  let found = completions("", known());

  function show() {
    const options = found.words.map((text, number) =>
      html("li", {
        role: "option",
        id: `${key}-offer-${number}`,
        "aria-selected": number === at ? "true" : "false",
        dir: "auto",
        text,
        onpointerdown: (/** @type {Event} */ event) => {
          event.preventDefault(); // or the field would lose the focus, and its half-written words be taken
          take(number);
        },
      }),
    );
    replace(list, ...options);
    list.hidden = !options.length;
    hint.textContent = options.length && at < 0 ? say("offerHint", { count: options.length }) : "";
    if (at >= 0) area.setAttribute("aria-activedescendant", `${key}-offer-${at}`);
    else area.removeAttribute("aria-activedescendant");
  }

  function close() {
    found = { begun: 0, words: [] };
    at = -1;
    show();
  }

  /** @param {number} number */
  function take(number) {
    const word = found.words[number];
    const { begun } = found;
    const rest = area.value.slice(area.selectionStart);
    area.value = area.value.slice(0, begun) + word + rest;
    area.setSelectionRange(begun + word.length, begun + word.length);
    area.dispatchEvent(new Event("input"));
    close();
  }

  area.setAttribute("aria-autocomplete", "list");
  area.setAttribute("aria-controls", list.id);
  area.addEventListener("input", () => {
    at = -1;
    found = completions(area.value.slice(0, area.selectionStart), known());
    show();
  });
  area.addEventListener("blur", close);
  area.addEventListener("keydown", (event) => {
    const { length } = found.words;
    if (!length || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown") at = (at + 1) % length;
    else if (event.key === "ArrowUp" && at >= 0) at = (at + length - 1) % length;
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && at >= 0) take(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
    show();
  });
  show();
  return html("div", { class: "offers" }, list, hint);
}
