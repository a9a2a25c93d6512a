// What each level adds on this host right now: the records that the sender's own code makes, each under the level from
// which on it leaves, with the fields that a higher level adds to it.

import { ask } from './ask.js';
import { el, part, put } from './dom.js';
import { LEVELS, ago, count, level, many, plain } from './words.js';

export const title = () => 'Levels';

export function open(body, { signal, say }) {
  const look = async () => {
    button.disabled = true;
    put(place, el('p', { class: 'empty' }, 'Looking at this host\u2026'));
    try {
      const [preview, catalog, status] = await Promise.all(['preview', 'catalog', 'status'].map((path) => ask(path, signal)));
      put(place, draw(preview.records, entries(catalog), status.level.effective));
      put(made, 'Looked ', ago(new Date().toISOString()), '.');
      say(`${count(preview.records.length)} records, by level`);
    } finally {
      button.disabled = false;
    }
  };
  const button = el('button', { type: 'button', class: 'main', onclick: () => look().catch((trouble) => put(place, el('p', { class: 'note bad' }, trouble.message))) }, 'Look again');
  const made = el('span', { class: 'soft' });
  const place = el('div', { class: 'levels-list' });
  put(body, el('p', null, 'Made just now by the code that sends, with your rights; nothing is kept and nothing is sent. ', button, ' ', made), place);
  let isDone = false;
  return async () => {
    if (isDone) return;
    await look();
    isDone = true;
  };
}

/** The catalog by name. */
function entries({ events, metrics }) {
  return new Map([...events, ...metrics].map((entry) => [entry.name, entry]));
}

function draw(records, catalog, held) {
  return LEVELS.map((one, number) => {
    const own = records.filter((record) => record.level === number);
    const added = records.filter((record) => record.level < number).map((record) => ({ record, fields: fieldsOf(record, catalog, number) })).filter(({ fields }) => fields.length > 0);
    const heading = [level(number), number === held ? el('span', { class: 'tag' }, 'holds now') : number > held && el('span', { class: 'soft' }, ' not sent at the present level')];
    return part(heading,
      el('p', null, `${one.says[0].toUpperCase()}${one.says.slice(1)}.`),
      el('p', { class: 'soft' }, own.length || added.length ? `Adds ${many(own.length, 'record')}${added.length ? ` and fields in ${many(added.length, 'record')} of the levels below` : ''}.` : 'Adds nothing on this host right now.'),
      el('div', { class: 'records' },
        byName(own).map(([name, group]) => recordsOf(name, group.map(pairsOf), catalog, group.length > 1 ? many(group.length, 'record') : sizeOf(group[0]))),
        added.map(({ record, fields }) => recordsOf(record.name, [fields], catalog, `+ ${many(fields.length, 'field')}`))));
  });
}

function byName(records) {
  return [...Map.groupBy(records, (record) => record.name)].sort(([a], [b]) => a.localeCompare(b));
}

/** A line that opens: the name, how much, and a glance at the values. */
function recordsOf(name, records, catalog, amount) {
  const entry = catalog.get(name);
  const glance = records[0].map(([field, value]) => `${field} ${plain(value)}`).join(' \u00b7 ').slice(0, 240);
  return el('details', null,
    el('summary', null, el('code', null, name), el('span', { class: 'soft' }, amount), el('span', { class: 'glance' }, glance)),
    entry && el('p', { class: 'soft' }, entry.description),
    records.map((pairs) => valuesOf(pairs, entry)));
}

const sizeOf = (record) => (record.points ? many(record.points.length, 'point') : many(pairsOf(record).length, 'field'));

/** Name and value; a metric's points by their attributes. */
function pairsOf(record) {
  if (!record.points) return Object.entries(record.attributes ?? {}).filter(([name]) => !name.startsWith('candor.'));
  return record.points.map((point) => {
    const names = Object.values(point.attributes ?? {}).map(plain).join(', ');
    return [names || record.unit || 'value', plain(point.value)];
  });
}

/** The fields of a record that stand at just this level. */
function fieldsOf(record, catalog, number) {
  const fields = new Map((catalog.get(record.name)?.fields ?? []).map((field) => [field.name, field.level]));
  return Object.entries(record.attributes ?? {}).filter(([name]) => fields.get(name) === number);
}

function valuesOf(pairs, entry) {
  const meaning = new Map((entry?.fields ?? []).map((field) => [field.name, field.description]));
  return el('dl', { class: 'facts values' }, pairs.map(([name, value]) => el('div', null, el('dt', { title: meaning.get(name) ?? null }, name), el('dd', null, plain(value)))));
}
