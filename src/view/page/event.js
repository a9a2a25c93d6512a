// One event in full: what became of it, each field with its level, class and meaning, and its bytes.

import { ask } from './ask.js';
import { decode, dump } from './bytes.js';
import { el, facts, part, put, table } from './dom.js';
import { STATES, count, level, plain, state, when } from './words.js';

export const title = (seq) => `Event ${seq}`;

export function open(body, { argument, signal, say, heading }) {
  let shown = '';
  return async () => {
    const event = await ask(`events/${encodeURIComponent(argument)}`, signal);
    const text = JSON.stringify(event);
    if (text === shown) return;
    shown = text;
    const name = event.name ?? (event.time === null ? 'gone' : 'log record');
    put(heading, name, el('span', { class: 'soft' }, ` \u00b7 ${count(event.seq)}`));
    put(body, head(event), fieldsOf(event), pointsOf(event), resourceOf(event), bytesOf(event));
    say(`${name}, ${event.state}`);
  };
}

function head(event) {
  return el('section', { class: 'part', 'aria-label': 'Summary' },
    el('p', { class: 'summary' }, level(event.level), state(event.state), el('span', { class: 'soft' }, STATES[event.state] ?? '')),
    facts([
      ['Time', when(event.time)],
      ['Kind', event.kind],
      ['Reason', event.reason],
      ['The endpoint\u2019s words', event.answer],
      ['Sent in request', event.request !== null && event.request !== undefined ? el('a', { href: `#/sent?request=${event.request}` }, count(event.request)) : null],
      ['Told by', event.provider && `the local program ${event.provider}`],
      ['Unit', event.unit],
      ['Id', event.uid && el('code', null, event.uid)],
      ['Boot', event.boot_id && el('code', null, event.boot_id)],
    ]),
    el('p', null, el('a', { class: 'button', href: '#/events' }, 'All events')));
}

/** A value: short ones as text, deep ones as indented text. */
function value(given) {
  if (given === null || typeof given !== 'object') return el('span', { class: 'value' }, plain(given));
  const text = JSON.stringify(given, null, 2);
  if (text.length < 200) return el('pre', { class: 'value' }, text);
  const summary = Array.isArray(given) ? `${count(given.length)} entries` : `${count(Object.keys(given).length)} parts`;
  return el('details', null, el('summary', null, summary), el('pre', { class: 'value', tabindex: '0', 'aria-label': 'value' }, text));
}

function fieldsOf(event) {
  const fields = event.fields?.length ? event.fields : Object.entries(event.attributes ?? {}).map(([name, given]) => ({ name, value: given }));
  if (fields.length === 0) return null;
  const columns = [
    { head: 'Field', isHead: true, cell: (row) => el('code', null, row.name) },
    { head: 'Value', class: 'values', cell: (row) => value(row.value) },
    { head: 'Level', cell: (row) => (typeof row.level === 'number' ? level(row.level) : '') },
    { head: 'Class', cell: (row) => row.class ?? '' },
    { head: 'What it is, and what for', class: 'prose', cell: (row) => [el('p', null, row.text), row.purpose && el('p', { class: 'soft' }, `Purpose: ${row.purpose}.`)] },
  ];
  return part('Fields', table('Fields', columns, fields));
}

function pointsOf({ points, unit }) {
  if (!points?.length) return null;
  const columns = [
    { head: 'Series', isHead: true, cell: (point) => {
      const pairs = Object.entries(point.attributes ?? {});
      return pairs.length ? pairs.map(([name, given]) => `${name} = ${plain(given)}`).join(', ') : 'all';
    } },
    { head: unit ? `Value (${unit})` : 'Value', class: 'values', cell: (point) => value(point.value) },
  ];
  return part('Points', table('Points', columns, points));
}

function resourceOf({ resource }) {
  const pairs = Object.entries(resource ?? {});
  if (pairs.length === 0) return null;
  return part('Sent with it', el('p', { class: 'soft' }, 'What a request says once about where its records come from.'),
    facts(pairs.map(([name, given]) => [name, plain(given)])));
}

function bytesOf({ bytes }) {
  if (!bytes) return null;
  return part('Bytes', dump(decode(bytes), 'The record in OTLP protobuf, as it is kept and sent'));
}
