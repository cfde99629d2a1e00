
/**
 * What the scripts of the report read: times from the beginning of what it plays, `start_s` of the source.
 * @typedef {{id: "input" | "output" | "hrtf", match_db: number, loudness_lufs: number | null, peaks: number[][]}} Track
 * @typedef {[start_s: number, end_s: number, first_deg: number, last_deg: number]} Line
 * @typedef {{object: string, azimuth_deg: (number | null)[], elevation_deg: number[], distance_m: number[],
 *   spread: number[]}} Around
 * @typedef {{rate_hz: number, start_s: number, duration_s: number, tracks: Track[],
 *   spl: {time_s: number[], output: (number | null)[], hrtf: (number | null)[]},
 *   azimuth: {time_s: number[], heard: (number | null)[], asked: {object: string, lines: Line[]}[]},
 *   segments: {start_s: number, end_s: number, text: string}[],
 *   around?: {step_s: number, objects: Around[]}}} Reported
 * @typedef {[x: number, y: number]} Spot
 */

/**
 * What the report plays: all tracks at once from one moment, one of them heard; a loop, and tones to check headphones.
 *
 * @param {Reported} report  the page's data
 * @param {() => void} changed  called when something has changed that the page shows
 * @param {() => void} started  called when playing has begun
 */
const makePlayer = (report, changed, started) => {
  const duration = report.duration_s;
  /** @type {Record<string, Track>} */
  const trackOf = Object.fromEntries(report.tracks.map((track) => [track.id, track]));
  const ids = report.tracks.map((track) => track.id);

  const FADE_S = 0.006; // switching is a cross-fade too short to be heard, and long enough not to click
  const SOON_S = 0.02;
  const MIN_LOOP_S = 0.05;

  /** @typedef {Track["id"]} Id */
  /** @type {Id} */
  let selected = "output";
  let matched = report.tracks.every((track) => track.match_db !== null);
  let looping = false;
  /** @type {[start_s: number, end_s: number] | null} */
  let region = null;
  let paused = 0; // position while nothing plays
  /** @type {any} an AudioContext, once something was played */
  let context = null;
  /**
   * @type {{sources: AudioBufferSourceNode[], gains: Record<string, GainNode>, fade: GainNode, began: number,
   *   from: number, loop: [number, number] | null} | null}
   */
  let running = null;
  /** @type {OscillatorNode | null} */
  let tone = null;
  let ready = false;
  /** @type {Record<string, AudioBuffer>} */
  const buffers = {};

  const gainOf = (/** @type {Id} */ id) => (matched ? 10 ** (trackOf[id].match_db / 20) : 1);
  const audio = () => {
    context = context || new AudioContext({ sampleRate: report.rate_hz, latencyHint: "interactive" });
    context.resume();
    return context;
  };
  const ramp = (/** @type {AudioParam} */ parameter, /** @type {number} */ value) => {
    const at = context.currentTime;
    parameter.cancelScheduledValues(at);
    parameter.setValueAtTime(parameter.value, at);
    parameter.linearRampToValueAtTime(value, at + FADE_S);
  };

  const position = () => {
    if (!running) return paused;
    let at = running.from + Math.max(0, context.currentTime - running.began);
    if (running.loop) {
      const [start, end] = running.loop;
      if (at >= end) at = start + ((at - end) % (end - start));
    }
    return Math.min(at, duration);
  };

  const halt = () => {
    if (!running) return;
    paused = position();
    const { sources, fade } = running;
    running = null;
    ramp(fade.gain, 0);
    for (const source of sources) source.stop(context.currentTime + 2 * FADE_S);
  };

  // All three play all the time, started at one moment; which one is heard is a matter of gains.
  const start = (/** @type {number} */ from) => {
    halt();
    endTone();
    /** @type {[number, number] | null} */
    const loop = looping ? region || [0, duration] : null;
    if (loop && (from < loop[0] || from >= loop[1])) from = loop[0];
    if (from > duration - 0.005) from = loop ? loop[0] : 0;
    const sound = audio();
    const began = sound.currentTime + SOON_S;
    const fade = new GainNode(sound, { gain: 0 });
    fade.gain.setValueAtTime(0, began);
    fade.gain.linearRampToValueAtTime(1, began + FADE_S);
    fade.connect(sound.destination);
    /** @type {Record<string, GainNode>} */
    const gains = {};
    const sources = ids.map((id) => {
      const source = new AudioBufferSourceNode(sound, { buffer: buffers[id], loop: Boolean(loop) });
      if (loop) [source.loopStart, source.loopEnd] = loop;
      gains[id] = new GainNode(sound, { gain: id === selected ? gainOf(id) : 0 });
      source.connect(gains[id]).connect(fade);
      source.start(began, from);
      return source;
    });
    running = { sources, gains, fade, began, from, loop };
    const mine = running;
    sources[0].addEventListener("ended", () => {
      if (running !== mine) return;
      running = null;
      paused = duration;
      changed();
    });
    started();
  };

  const toggle = () => {
    if (!ready) return;
    if (running) halt();
    else start(paused);
    changed();
  };
  const seek = (/** @type {number} */ to) => {
    const at = Math.min(Math.max(0, to), duration);
    if (running) start(at);
    else paused = at;
    changed();
  };
  const restart = () => { if (running) start(position()); };
  const select = (/** @type {Id} */ id) => {
    selected = id;
    if (running) for (const each of ids) ramp(running.gains[each].gain, each === id ? gainOf(each) : 0);
    changed();
  };
  const toggleMatch = () => {
    matched = !matched;
    select(selected);
  };
  const setLoop = (/** @type {boolean} */ on) => {
    looping = on;
    restart();
    changed();
  };
  const setRegion = (/** @type {number} */ from, /** @type {number} */ to) => {
    const [a, b] = [Math.max(0, Math.min(from, to)), Math.min(duration, Math.max(from, to))];
    region = b - a >= MIN_LOOP_S ? [a, b] : null;
    looping = looping || Boolean(region);
    restart();
    changed();
  };
  /** Mark a part without playing it yet. */
  const markRegion = (/** @type {number} */ from, /** @type {number} */ to) => {
    if (to - from >= MIN_LOOP_S) region = [from, to];
    changed();
  };
  const startHere = () => setRegion(position(), region && region[1] > position() ? region[1] : duration);
  const endHere = () => setRegion(region && region[0] < position() ? region[0] : 0, position());
  const clearRegion = () => {
    region = null;
    restart();
    changed();
  };

  const endTone = () => {
    if (tone) tone.stop();
  };
  const playTone = (/** @type {string} */ side, /** @type {HTMLElement} */ button) => {
    halt();
    endTone();
    const sound = audio();
    const at = sound.currentTime + SOON_S;
    const level = new GainNode(sound, { gain: 0 });
    level.gain.setValueAtTime(0, at);
    level.gain.linearRampToValueAtTime(0.12, at + 0.05);
    level.gain.setValueAtTime(0.12, at + 0.85);
    level.gain.linearRampToValueAtTime(0, at + 0.9);
    const ears = new ChannelMergerNode(sound, { numberOfInputs: 2 });
    if (side !== "right") level.connect(ears, 0, 0);
    if (side !== "left") level.connect(ears, 0, 1);
    ears.connect(sound.destination);
    const wave = new PeriodicWave(sound, { real: [0, 0, 0, 0], imag: [0, 1, 0.5, 0.3] });
    const source = new OscillatorNode(sound, { type: "custom", periodicWave: wave, frequency: 440 });
    source.connect(level);
    source.start(at);
    source.stop(at + 0.9);
    tone = source;
    button.classList.add("on");
    source.addEventListener("ended", () => {
      button.classList.remove("on");
      ears.disconnect();
      if (tone === source) tone = null;
    });
    changed();
  };

  const decode = async () => {
    const decoder = new OfflineAudioContext(2, 1, report.rate_hz);
    for (const id of ids) {
      const bytes = soundBytes(id);
      byId("sound-" + id).remove(); // the page would keep it in memory for nothing
      buffers[id] = await decoder.decodeAudioData(bytes.buffer);
    }
    ready = true;
    changed();
  };

  return {
    get selected() { return selected; },
    get matched() { return matched; },
    get looping() { return looping; },
    get region() { return region; },
    get playing() { return Boolean(running); },
    get ready() { return ready; },
    position, toggle, seek, select, toggleMatch, setLoop, setRegion, markRegion, startHere, endHere, clearRegion, playTone, decode,
  };
};
