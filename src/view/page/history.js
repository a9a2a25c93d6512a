// Who changed what, when and why: the audit trail. Who and why stay on this host.

import { ask } from './ask.js';
import { el, put, table } from './dom.js';
import { level, many, when } from './words.js';

export const title = () => 'History';

export function open(body, { signal, say }) {
  let shown = '';
  return async () => {
    const { changes } = await ask('history', signal);
    const text = JSON.stringify(changes);
    if (text === shown) return;
    shown = text;
    put(body,
      el('p', { class: 'soft' }, 'Every change of level, upload, endpoint and pins, newest first. Who made it and why is never sent.'),
      changes.length ? table('Changes, newest first', COLUMNS, changes) : el('p', { class: 'empty' }, 'No change was made yet.'));
    say(many(changes.length, 'change'));
  };
}

const valueOf = (subject, value) => {
  if (value === null || value === undefined) return '\u2013';
  return subject === 'level' && /^[0-3]$/.test(value) ? level(Number(value)) : value;
};

function who({ user, uid, pid, role }) {
  const name = user ?? (uid === null ? role : `uid ${uid}`) ?? '';
  return [name, pid !== null && el('span', { class: 'soft' }, ` process ${pid}`)];
}

const COLUMNS = [
  { head: 'Time', class: 'time', cell: (row) => when(row.time) },
  { head: 'What', isHead: true, cell: (row) => row.subject },
  { head: 'From', cell: (row) => valueOf(row.subject, row.from) },
  { head: 'To', cell: (row) => valueOf(row.subject, row.to) },
  { head: 'Layer', cell: (row) => row.layer ?? '' },
  { head: 'Who', cell: who },
  { head: 'Why', class: 'prose', cell: (row) => row.reason ?? '' },
];
