
"use strict";

// What the scripts of all pages use.

const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

/** The JSON in a block of the page. */
const readData = (id) => JSON.parse(byId(id).textContent);

/** The bytes of an audio file in a block of the page. */
const soundBytes = (name) => {
  const text = atob(byId("sound-" + name).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
};
