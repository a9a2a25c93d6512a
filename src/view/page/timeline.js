// Every event, newest first: search, filters, and older ones on demand. The first page stays up to date by itself.

import { ask, query as encode } from './ask.js';
import { el, put, table } from './dom.js';
import { LEVELS, STATES, count, level, many, state, when } from './words.js';

export const title = () => 'Events';

const LIMIT = 50;
/** A search that finds little goes on this often by itself; then by a button. */
const STRETCHES = 20;

export function open(body, { query, signal, say }) {
  const results = el('div', { class: 'results' });
  const foot = el('p', { class: 'foot' });
  put(body, form(query), results, foot);
  const view = { asked: asked(query), signal, say, results, foot, events: [], next: null, isFirst: true, shown: '' };
  return () => (view.isFirst ? fresh(view) : null);
}

const FILTERS = ['text', 'name', 'level', 'state', 'since', 'until'];

function asked(query) {
  const pairs = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  for (const name of ['since', 'until']) if (pairs[name]) pairs[name] = moment(pairs[name]);
  return pairs;
}

/** A local time of the form as RFC 3339. */
function moment(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? '' : time.toISOString();
}

function form(query) {
  const field = (name, label, input) => el('div', { class: `field ${name}` }, el('label', { for: name }, label), input);
  const text = (name, hint, type = 'search') => el('input', { id: name, name, type, value: query.get(name), placeholder: hint, autocomplete: 'off', spellcheck: 'false' });
  const choice = (name, options) => {
    const chosen = query.get(name) ?? '';
    const all = [['', 'all'], ...options];
    return el('select', { id: name, name }, all.map(([value, label]) => el('option', { value, selected: value === chosen }, label)));
  };
  const local = (name) => el('input', { id: name, name, type: 'datetime-local', step: 1, value: query.get(name) });
  return el('form', { class: 'filters', role: 'search', onsubmit: submit },
    field('text', 'Search', text('text', 'words in names and values')),
    field('name', 'Name begins with', text('name', 'candor.device', 'text')),
    field('level', 'Level', choice('level', LEVELS.map((one, number) => [String(number), `${number} ${one.name}`]))),
    field('state', 'State', choice('state', Object.keys(STATES).map((word) => [word, word.replace('_', ' ')]))),
    field('since', 'From', local('since')),
    field('until', 'To', local('until')),
    el('div', { class: 'actions' }, el('button', { class: 'main' }, 'Search'), el('a', { class: 'button', href: '#/events' }, 'Clear')));
}

function submit(event) {
  event.preventDefault();
  const pairs = Object.fromEntries(new FormData(event.target));
  const text = encode(pairs);
  location.hash = text ? `#/events?${text}` : '#/events';
}

/** One page: goes on while the daemon has looked through its share and found too little. */
async function page(view, before) {
  const found = [];
  let cursor = before;
  for (let stretch = 0; stretch < STRETCHES && found.length < LIMIT; stretch += 1) {
    const answer = await ask(`events?${encode({ ...view.asked, before: cursor, limit: LIMIT - found.length })}`, view.signal);
    found.push(...answer.events);
    cursor = answer.next;
    if (cursor === null || cursor === undefined) return { found, next: null };
  }
  return { found, next: cursor };
}

async function fresh(view) {
  const { found, next } = await page(view, null);
  const text = JSON.stringify(found);
  if (text === view.shown) return;
  view.shown = text;
  view.events = found;
  view.next = next;
  draw(view);
}

async function older(view) {
  view.isFirst = false;
  const { found, next } = await page(view, view.next);
  const first = found[0];
  view.events = found;
  view.next = next;
  draw(view);
  if (first) view.results.querySelector('tbody a')?.focus();
}

/** What was dropped in one go is one line: what the records were is gone with them. */
function nameOf(row) {
  if (row.count) return el('span', { class: 'soft' }, `${many(row.count, 'record')}, gone`);
  // A program's plain log record has no name; what is gone has no time either.
  const name = row.name ?? (row.time === null ? null : 'log record');
  if (name === null) return el('span', { class: 'soft' }, 'gone');
  return el('a', { href: `#/events/${row.seq}`, 'data-seq': row.seq }, name);
}

const COLUMNS = [
  { head: 'Number', class: 'number', cell: (row) => (row.first ? `${count(row.first)}\u2013${count(row.seq)}` : count(row.seq)) },
  { head: 'Time', class: 'time', cell: (row) => (row.time ? when(row.time) : '') },
  { head: 'Event', isHead: true, cell: nameOf },
  { head: 'Level', cell: (row) => level(row.level) },
  { head: 'Kind', cell: (row) => row.kind },
  { head: 'State', cell: (row) => [state(row.state), row.reason && el('span', { class: 'soft' }, ` ${row.reason}`)] },
];

function draw(view) {
  const focused = document.activeElement?.dataset?.seq;
  const scrolled = view.results.querySelector('.wide')?.scrollLeft ?? 0;
  put(view.results, view.events.length ? table('Events, newest first', COLUMNS, view.events) : el('p', { class: 'empty' }, 'No event is like that.'));
  const wide = view.results.querySelector('.wide');
  if (wide) wide.scrollLeft = scrolled;
  if (focused) view.results.querySelector(`[data-seq="${CSS.escape(focused)}"]`)?.focus();
  put(view.foot,
    !view.isFirst && el('button', { type: 'button', onclick: () => newest(view) }, 'Newest'),
    view.next !== null && el('button', { type: 'button', onclick: () => older(view) }, view.events.length < LIMIT ? 'Look further back' : 'Older'),
    el('span', { class: 'soft' }, `${many(view.events.length, 'event')} shown`));
  view.say(`${many(view.events.length, 'event')} shown`);
}

async function newest(view) {
  view.isFirst = true;
  view.shown = '';
  await fresh(view);
}
