
// The page: what it shows of the player, and what hands do with it.
(() => {
  /** @type {Reported} */
  const report = readData("report");
  const duration = report.duration_s;
  /** @type {Record<string, Track>} */
  const trackOf = Object.fromEntries(report.tracks.map((track) => [track.id, track]));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const pictures = makePictures(report);
  const player = makePlayer(report, () => show(), () => { if (!animating) animate(); });

  // What is played begins at 0; what is shown are times of the file that it is a passage of.
  const clock = (/** @type {number} */ seconds) => {
    const tenths = Math.floor(10 * (report.start_s + seconds) + 1e-6);
    return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
  };
  const decibels = (/** @type {number} */ value) => `${value.toFixed(1).replace("-", "\u2212").replace("\u22120.0", "0.0")} dB`;
  const say = (/** @type {string} */ text) => { byId("status").textContent = text; };

  // ---------------------------------------------------------------- what is shown

  const TITLES = { input: "the input", output: "the output", hrtf: "the plain HRTF" };
  /** @type {number | null} */
  let shownSegment = null;
  const move = () => {
    const at = player.position();
    byId("clock").value = `${clock(at)} / ${clock(duration)}`;
    const slider = byId("position");
    slider.value = at / duration;
    slider.setAttribute("aria-valuetext", `${clock(at)} of ${clock(duration)}`);
    for (const cursor of all(".cursor")) cursor.style.transform = `translateX(${pictures.toX(at)}px)`;
    pictures.drawRing(at);
    const segment = report.segments.findIndex((each) => each.start_s <= at && at < each.end_s);
    if (segment !== shownSegment) {
      shownSegment = segment;
      for (const [i, element] of all("#lane .prompt").entries()) element.classList.toggle("current", i === segment);
      byId("now").textContent = segment < 0 ? "No prompt here: everything is in the center." : report.segments[segment].text;
    }
  };
  /** Which track a button is for. @type {(button: HTMLElement) => Track["id"]} */
  const idOf = (button) => /** @type {Track["id"]} */ (button.dataset.track);
  let shownTrack = player.selected;
  const show = () => {
    if (player.selected !== shownTrack) pictures.drawWave(player.selected);
    shownTrack = player.selected;
    for (const button of all("[data-track]")) {
      const id = idOf(button);
      button.setAttribute("aria-pressed", String(id === player.selected));
      const { match_db: gain, loudness_lufs: loudness } = trackOf[id];
      const level = loudness === null ? "loudness unknown" : `${loudness.toFixed(1).replace("-", "\u2212")} LUFS`;
      const words = /** @type {Element} */ (button.querySelector(".match"));
      words.textContent = player.matched ? `${level}, matched by ${decibels(gain)}` : level;
    }
    byId("wave-name").textContent = TITLES[player.selected];
    byId("play").disabled = !player.ready;
    if (player.ready) byId("play").textContent = player.playing ? "\u275a\u275a Pause" : "\u25b6 Play";
    byId("match").setAttribute("aria-pressed", String(player.matched));
    byId("loop").setAttribute("aria-pressed", String(player.looping));
    const { region } = player;
    byId("loop-clear").disabled = !region;
    byId("region-text").value = region ? `${clock(region[0])} \u2013 ${clock(region[1])}` : "all";
    for (const mark of all(".region-mark")) {
      mark.style.visibility = region ? "visible" : "hidden";
      if (region) {
        mark.style.left = `${pictures.toX(region[0])}px`;
        mark.style.width = `${pictures.toX(region[1]) - pictures.toX(region[0])}px`;
      }
    }
    move();
  };
  let animating = false;
  const animate = () => {
    animating = player.playing;
    if (!animating) return;
    move();
    if (still.matches) setTimeout(animate, 500);
    else requestAnimationFrame(animate);
  };

  // ---------------------------------------------------------------- hands

  for (const button of all("[data-track]")) button.addEventListener("click", () => player.select(idOf(button)));
  for (const button of all("[data-tone]")) button.addEventListener("click", () => player.playTone(button.dataset.tone ?? "", button));
  for (const button of all("[data-segment]")) {
    button.addEventListener("click", () => player.seek(report.segments[Number(button.dataset.segment)].start_s));
  }
  byId("play").addEventListener("click", player.toggle);
  byId("match").addEventListener("click", player.toggleMatch);
  if (!player.matched) {
    byId("match").disabled = true;
    byId("match").textContent = "Loudness not matched: too short or too quiet";
  }
  byId("loop").addEventListener("click", () => player.setLoop(!player.looping));
  byId("loop-start").addEventListener("click", player.startHere);
  byId("loop-end").addEventListener("click", player.endHere);
  byId("loop-clear").addEventListener("click", player.clearRegion);
  byId("position").addEventListener("input", () => player.seek(Number(byId("position").value) * duration));

  // After a click the focus goes back to the page, so that Space plays and does not press the button again.
  addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button instanceof HTMLElement && event.detail > 0) button.blur();
  });

  for (const area of all(".area")) {
    /** @type {{x: number, at: number} | null} */
    let from = null;
    let dragging = false;
    const at = (/** @type {PointerEvent} */ event) => pictures.toSeconds(event.clientX - area.getBoundingClientRect().left);
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, at: at(event) };
      dragging = false;
      area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (!from) return;
      dragging = dragging || Math.abs(event.clientX - from.x) > 5;
      if (!dragging) return;
      player.markRegion(Math.min(from.at, at(event)), Math.max(from.at, at(event)));
    });
    area.addEventListener("pointerup", (event) => {
      if (!from) return;
      if (dragging) player.setRegion(from.at, at(event));
      else player.seek(at(event));
      from = null;
    });
    area.addEventListener("pointercancel", () => { from = null; });
  }

  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const keys = {
    " ": player.toggle,
    arrowleft: (event) => player.seek(player.position() - (event.shiftKey ? 5 : 1)),
    arrowright: (event) => player.seek(player.position() + (event.shiftKey ? 5 : 1)),
    home: () => player.seek(0),
    end: () => player.seek(duration),
    l: () => player.setLoop(!player.looping),
    i: player.startHere,
    o: player.endHere,
    x: player.clearRegion,
  };
  report.tracks.forEach(({ id }, i) => {
    keys[String(i + 1)] = () => player.select(id);
    keys["abc"[i]] = () => player.select(id);
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const action = keys[event.key.toLowerCase()];
    const pressable = event.target instanceof Element && event.target.closest("button, summary");
    const scrolls = event.target instanceof Element && event.target.closest(".scroll") && event.key.startsWith("Arrow");
    if (!action || scrolls || (event.key === " " && pressable)) return;
    event.preventDefault();
    if (!(event.repeat && !event.key.startsWith("Arrow"))) action(event);
  });

  // ---------------------------------------------------------------- beginning

  byId("lane").prepend(...report.segments.map(({ text }) => {
    const prompt = document.createElement("div");
    prompt.className = "prompt";
    prompt.title = text;
    const words = document.createElement("span");
    words.textContent = text; // never markup, whatever stands in a prompt
    prompt.append(words);
    return prompt;
  }));
  pictures.describe();

  const draw = () => {
    pictures.draw(player.selected);
    show();
  };
  new ResizeObserver(draw).observe(byId("plots"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  player.decode().catch(() => {
    byId("play").textContent = "Cannot play";
    say("This browser cannot decode the sounds of this page. A current Chrome, Edge, Firefox or Safari can.");
  });
})();
