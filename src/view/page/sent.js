// What left this host and when: volume by day, by level and by category, and each request with its answer and its
// exact bytes.

import { ask, bytes, query as encode } from './ask.js';
import { dump } from './bytes.js';
import { stacked } from './chart.js';
import { el, facts, part, put, table } from './dom.js';
import { LEVELS, count, many, size, when } from './words.js';

export const title = () => 'Sent';

const LIMIT = 25;
const DAYS = 30;

export function open(body, { query, signal, say }) {
  const places = ['volume', 'requests', 'body'].map((name) => el('div', { class: name }));
  put(body, places);
  const [volume, requests, shown] = places;
  const view = { signal, say, requests, shown, before: null, text: '', days: '' };
  const asked = query.get('request');
  // The entries before the one after it: it comes first.
  if (asked && /^\d{1,15}$/.test(asked)) view.before = Number(asked) + 1;
  return async () => {
    const [days, page] = await Promise.all([ask(`volume?days=${DAYS}`, signal), journal(view)]);
    const text = JSON.stringify(days);
    if (text !== view.days) {
      view.days = text;
      put(volume, volumeOf(days.days));
    }
    draw(view, page);
  };
}

const journal = (view) => ask(`journal?${encode({ before: view.before, limit: LIMIT })}`, view.signal);

function volumeOf(days) {
  const all = calendar(days);
  const series = LEVELS.map((one, number) => ({ name: `${number} ${one.name}`, class: `fill-${number}` }));
  const values = (day) => LEVELS.map((_, number) => day.by_level?.[number]?.bytes ?? 0);
  const short = (day) => new Date(`${day}T12:00:00`).toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  const chart = stacked({
    caption: `Bytes by day and level, the last ${DAYS} days`,
    days: all.map((day) => ({ label: day.day, short: short(day.day), values: values(day) })),
    series,
    format: size,
  });
  return part('Volume', chart, categories(days));
}

/** Days on which nothing left are days too. */
function calendar(days) {
  const known = new Map(days.map((day) => [day.day, day]));
  const today = new Date();
  return Array.from({ length: DAYS }, (_, index) => {
    const date = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() - (DAYS - 1 - index)));
    const day = date.toISOString().slice(0, 10);
    return known.get(day) ?? { day, requests: 0, body_bytes: 0, records: 0 };
  });
}

function categories(days) {
  const sums = new Map();
  for (const day of days) for (const [name, bytes] of Object.entries(day.by_category ?? {})) sums.set(name, (sums.get(name) ?? 0) + bytes);
  const whole = [...sums.values()].reduce((sum, one) => sum + one, 0);
  const rows = [...sums].sort((a, b) => b[1] - a[1]);
  if (rows.length === 0) return el('p', { class: 'empty' }, 'Nothing has left yet.');
  const columns = [
    { head: 'Category', isHead: true, cell: ([name]) => name },
    { head: 'Size', class: 'number', cell: ([, bytes]) => size(bytes) },
    { head: 'Share', class: 'number', cell: ([, bytes]) => `${((bytes / whole) * 100).toFixed(1)} %` },
  ];
  return [el('h3', null, 'By category'), table('Size by category', columns, rows)];
}

function draw(view, { entries, next, holes, max_bytes: most }) {
  const text = JSON.stringify([entries, next, holes, most]);
  if (text === view.text) return;
  view.text = text;
  const turn = async (before) => {
    view.before = before;
    draw(view, await journal(view));
    view.requests.querySelector('tbody button')?.focus();
  };
  put(view.requests, part('Requests',
    el('p', { class: 'soft' }, 'Each request as it left, with the endpoint\u2019s answer. The entries are chained by their hashes; agentctl audit checks the chain.'),
    most === 0 && el('p', { class: 'note' }, 'The journal is switched off (journal.max_bytes = 0): what leaves is not kept here.'),
    (holes ?? []).map((hole) => el('p', { class: 'note' }, `The journal has a hole at ${count(hole.first)}\u2013${count(hole.last)}: ${hole.reason}.`)),
    entries.length ? table('Requests, newest first', columnsOf(view), entries) : el('p', { class: 'empty' }, 'No request is in the journal.'),
    el('p', { class: 'foot' },
      view.before !== null && el('button', { type: 'button', onclick: () => turn(null) }, 'Newest'),
      next !== null && next !== undefined && el('button', { type: 'button', onclick: () => turn(next) }, 'Older'))));
  view.say(`${many(entries.length, 'request')} shown`);
}

const columnsOf = (view) => [
  { head: 'Request', class: 'number', isHead: true, cell: (row) => count(row.number) },
  { head: 'Time', class: 'time', cell: (row) => when(row.time) },
  { head: 'Answer', cell: (row) => answer(row) },
  { head: 'Kind', cell: (row) => row.kind },
  { head: 'Records', class: 'number', cell: (row) => count(row.records) },
  { head: 'Size', class: 'number', cell: (row) => el('span', { title: row.raw_bytes ? `${count(row.raw_bytes)} bytes before compression` : null }, size(row.body_bytes)) },
  { head: 'Endpoint', class: 'place', cell: (row) => row.endpoint },
  { head: 'Bytes', cell: (row) => el('button', { type: 'button', 'aria-label': `Show request ${row.number}`, onclick: () => reveal(view, row) }, 'Show') },
];

/** The endpoint's status; where there was none, what became of the request. */
function answer(row) {
  if (row.status === null) {
    const word = (row.outcome ?? 'no answer').replaceAll('_', ' ');
    return el('span', { class: `state ${row.outcome === 'in_flight' ? 'in_flight' : 'pending'}`, title: row.answer || null }, word);
  }
  const isGood = row.status >= 200 && row.status < 300;
  return el('span', { class: `state ${isGood ? 'sent' : 'rejected'}`, title: row.answer || null }, String(row.status));
}

async function reveal(view, row) {
  const body = await bytes(`journal/${row.number}/body`, view.signal).catch((trouble) => trouble);
  const heading = el('h2', { tabindex: '-1' }, `Request ${count(row.number)}`);
  const content = body instanceof Error
    ? el('p', { class: 'note bad' }, body.message)
    : [dump(body, `The body as it left${row.encoding ? `, ${row.encoding}` : ''}`),
      el('p', null, el('a', { class: 'button', href: `/api/journal/${row.number}/body`, download: `request-${row.number}.bin` }, 'Save the bytes'))];
  put(view.shown, el('section', { class: 'part' }, heading,
    facts([
      ['Time', when(row.time)],
      ['Endpoint', row.endpoint],
      ['Pin that matched', row.pin && el('code', null, row.pin)],
      ['TLS', row.tls],
      ['Answer', [answer(row), row.answer ? ` ${row.answer}` : '']],
      ['Records', count(row.records)],
      ['Before compression', row.raw_bytes && size(row.raw_bytes)],
      ['Chain', row.hash && el('code', null, row.hash)],
    ]), content));
  heading.focus();
}
