
/**
 * One recording at a time, played by an audio element, and for how long it was listened to.
 *
 * @param {HTMLAudioElement} audio  the element
 * @param {(text: string) => void} say  shows a message
 */
const makePlayer = (audio, say) => {
  const clock = (/** @type {number} */ seconds) => Math.floor(seconds / 60) + ":" + String(Math.floor(seconds % 60)).padStart(2, "0");

  const player = {
    url: /** @type {string | null} */ (null),
    startedAt: /** @type {number | null} */ (null),
    onListened: (/** @type {number} */ _seconds) => {},
    onEnded: () => {},

    /** @type {(name: string, onListened: (seconds: number) => void, onEnded: () => void) => void} */
    load(name, onListened, onEnded) {
      this.stop();
      if (this.url) URL.revokeObjectURL(this.url);
      this.url = URL.createObjectURL(new Blob([soundBytes(name)], { type: "audio/flac" }));
      this.onListened = onListened;
      this.onEnded = onEnded;
      audio.src = this.url;
    },
    toggle() {
      if (!audio.paused) audio.pause();
      else audio.play().catch(() => audio.error || say("The browser did not start the sound. Press Play again."));
    },
    stop() {
      audio.pause();
      this.settle();
    },
    settle() {
      if (this.startedAt === null) return;
      const listened = audio.currentTime - this.startedAt;
      this.startedAt = null;
      this.onListened(Math.max(0, listened));
    },
    /** @type {(label: string) => HTMLElement} */
    view(label) {
      const position = element("progress", { max: 1, value: 0, "aria-label": "Position in the recording" });
      const time = element("p", { className: "clock", textContent: "0:00" });
      const play = button("\u25b6 Play", () => this.toggle(), "main");
      play.id = "play";
      play.setAttribute("aria-keyshortcuts", "Space");
      play.setAttribute("aria-label", "Play " + label);
      this.draw = () => {
        const length = Number.isFinite(audio.duration) ? audio.duration : 0;
        position.value = length ? Math.min(1, audio.currentTime / length) : 0;
        time.textContent = clock(audio.currentTime) + " / " + clock(Math.round(length));
        play.textContent = audio.paused ? "\u25b6 Play" : "\u275a\u275a Pause";
        play.setAttribute("aria-label", (audio.paused ? "Play " : "Pause ") + label);
      };
      return element("div", { className: "player" }, play, element("div", { className: "position" }, position, time));
    },
    draw() {},
  };
  audio.addEventListener("playing", () => {
    if (player.startedAt === null) player.startedAt = audio.currentTime;
    say("");
  });
  audio.addEventListener("pause", () => player.settle());
  audio.addEventListener("ended", () => {
    player.settle();
    player.onEnded();
  });
  audio.addEventListener("error", () => {
    if (audio.getAttribute("src")) {
      say("This browser cannot play the sound (FLAC). Please use a current Chrome, Edge, Firefox or Safari.");
    }
  });
  for (const name of ["timeupdate", "playing", "pause", "ended", "loadedmetadata", "emptied"]) {
    audio.addEventListener(name, () => player.draw());
  }
  return player;
};
