// Keeps a view up to date: asks again after a while, more seldom while there is trouble, not at all while the page is
// hidden or paused. A hidden page says now and then that it is still there, so that the viewer stays.

const EVERY = 2000;
const SLOWEST = 30000;
const BEAT = 120000;

const pulse = document.getElementById('pulse');
const button = document.getElementById('pause');
let isPaused = false;
let current = null;

function mark(text, kind) {
  pulse.textContent = text;
  pulse.className = kind;
}

/** Calls `work` now and again until the next view takes over; `work` throws where it is in trouble. */
export function follow(work, onTrouble) {
  stop();
  const run = { work, onTrouble, wait: EVERY, timer: null };
  current = run;
  turn(run);
}

/** Nothing is asked any more. */
export function stop() {
  clearTimeout(current?.timer);
  current = null;
}

async function turn(run) {
  if (run !== current) return;
  try {
    await run.work();
    run.wait = EVERY;
    if (run === current) mark(isPaused ? 'paused' : 'live', isPaused ? 'idle' : 'live');
  } catch (trouble) {
    if (run !== current || trouble.name === 'AbortError') return;
    run.wait = Math.min(run.wait * 2, SLOWEST);
    mark('no answer', 'bad');
    run.onTrouble(trouble);
    if (trouble.code === 'no_viewer' || trouble.status === 403) return;
  }
  schedule(run);
}

function schedule(run) {
  clearTimeout(run.timer);
  if (run !== current || isPaused || document.hidden) return;
  run.timer = setTimeout(() => turn(run), run.wait);
}

button.addEventListener('click', () => {
  isPaused = !isPaused;
  button.setAttribute('aria-pressed', String(isPaused));
  if (isPaused) mark('paused', 'idle');
  else if (current) turn(current);
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && current && !isPaused) turn(current);
});

// Trouble is the next question's to tell.
setInterval(() => (document.hidden || isPaused) && fetch('/api/beat').catch(() => {}), BEAT);
