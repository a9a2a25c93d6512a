// Finds the view of an address (`#/events?level=2`), shows it, moves the focus to it, and says what goes wrong.

import { el, put } from './dom.js';
import { follow, stop } from './live.js';
import * as event from './event.js';
import * as history from './history.js';
import * as levels from './levels.js';
import * as losses from './losses.js';
import * as overview from './overview.js';
import * as sent from './sent.js';
import * as timeline from './timeline.js';
import { sentence } from './words.js';

const VIEWS = { overview, events: timeline, event, sent, losses, levels, history };

const main = document.getElementById('main');
const alarm = document.getElementById('alarm');
const said = document.getElementById('said');
let leaving = new AbortController();

/** Says a sentence to who does not see the page. */
function say(text) {
  if (said.textContent !== text) said.textContent = text;
}

function complain(trouble) {
  const shown = alarm.querySelector('strong')?.textContent;
  if (shown === trouble.message) return;
  put(alarm, el('p', null, el('strong', null, trouble.message), trouble.remedy && el('span', null, ' To do: ', sentence(trouble.remedy), '.')));
}

function address() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, argument] = path.split('/');
  const view = name === 'events' && argument ? 'event' : name;
  return { name: VIEWS[view] ? view : 'overview', argument, query: new URLSearchParams(query) };
}

async function show(isFirst) {
  const { name, argument, query } = address();
  const view = VIEWS[name];
  leaving.abort();
  leaving = new AbortController();
  stop();
  put(alarm);
  for (const link of document.querySelectorAll('nav a')) {
    const isHere = link.hash === `#/${name === 'event' ? 'events' : name}`;
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const heading = el('h1', { tabindex: '-1' }, view.title(argument));
  const body = el('div', { class: `view ${name}` });
  put(main, heading, body);
  document.title = `${view.title(argument)} \u2013 Candor viewer`;
  if (!isFirst) heading.focus();
  const refresh = view.open(body, { argument, query, signal: leaving.signal, say, heading });
  follow(async () => {
    await refresh();
    put(alarm);
  }, complain);
}

window.addEventListener('hashchange', () => {
  // The link that skips to the content is no view.
  if (location.hash === '#main') return main.focus();
  return show(false);
});
show(true);
