
"use strict";

// What the scripts of all pages use.

/** An element of the page; of which kind, its markup says. @type {(id: string) => any} */
const byId = (id) => document.getElementById(id);
/** @type {(selector: string) => HTMLElement[]} */
const all = (selector) => [...document.querySelectorAll(selector)].filter((each) => each instanceof HTMLElement);

/** The JSON in a block of the page. @type {(id: string) => any} */
const readData = (id) => JSON.parse(byId(id).textContent);

/** The bytes of an audio file in a block of the page. @type {(name: string) => Uint8Array<ArrayBuffer>} */
const soundBytes = (name) => {
  const text = atob(byId("sound-" + name).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
};
