// Questions to the server of this page, which only reads. An answer that is none becomes a Trouble.

/** Why there is no answer, and what to do about it. */
export class Trouble extends Error {
  constructor(status, { code, message, remedy }) {
    super(message);
    Object.assign(this, { status, code, remedy });
  }
}

async function answer(path, signal) {
  let response;
  try {
    response = await fetch(`/api/${path}`, { signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Trouble(0, {
      code: 'no_viewer',
      message: 'the viewer on this host has ended',
      remedy: 'run agentctl view again, and close this page',
    });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Trouble(response.status, body.error ?? { code: 'failed', message: `no answer (${response.status})` });
}

/** The JSON of an answer. */
export async function ask(path, signal) {
  return (await answer(path, signal)).json();
}

/** The bytes of an answer. */
export async function bytes(path, signal) {
  return new Uint8Array(await (await answer(path, signal)).arrayBuffer());
}

/** A query without what is empty. */
export function query(pairs) {
  const known = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return new URLSearchParams(known).toString();
}
