// Write a provisioner for `ss` in JavaScript or TypeScript.
//
// A provisioner speaks operations of its own manifest and never sees a URL, a token or a socket. This module is thin: the
// bindings come from the contract when the component is built; what is here makes them idiomatic.

import { send } from 'starsystem:provisioner/api@0.1.0';
import { nowMs as hostNow, random, wait as hostWait } from 'starsystem:provisioner/clock@0.1.0';
import * as progress from 'starsystem:provisioner/progress@0.1.0';
import * as secrets from 'starsystem:provisioner/secrets@0.1.0';

const CREATE_ATTEMPTS = 3;
// Waits before each look after a lost answer: vendors' lists lag behind.
const LOOKS_MS = [500, 1_000, 2_000, 4_000, 8_000];
const PAGES_MAX = 1_000;

/** Throw it to end a call. The message says in one or two sentences what happened and what to do. */
export class Failure extends Error {
  constructor(kind, message, { retryAfterMs, details } = {}) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
    this.details = details;
  }
}

/** There is no reply. It is a failure, too: not caught, it ends the call as it should. */
export class CallError extends Failure {
  constructor(reason, message) {
    super({ denied: 'declined', 'too-large': 'broken' }[reason] ?? 'unavailable', message);
    this.reason = reason;
  }
}

export const step = (message) => progress.step(message);
export const log = (message) => progress.log(message);
export const checkpoint = (recorded) => progress.checkpoint(rawRecord(recorded));
export const nowMs = () => hostNow();
export const wait = (ms) => hostWait(Math.trunc(ms));
export const randomBytes = (count) => random(count);

/** A new secret out of a template: `{name}` or `{name|url}` stands for a part. */
export function compose(template, parts) {
  const named = Object.entries(parts).map(([name, value]) => ({ name, value }));
  return secrets.compose(template, named);
}

/** Calls a declared operation. Throws `CallError` when there is no reply; a 404 is a reply. */
export function call(operation, params = {}, { body, fill = {} } = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null);
  const request = {
    operation,
    params: given.map(([name, value]) => ({ name, value: String(value) })),
    body: body === undefined ? undefined : utf8(JSON.stringify(body)),
    fill: Object.entries(fill).map(([pointer, value]) => ({ pointer, value })),
  };
  try {
    return new Reply(operation, send(request));
  } catch (error) {
    const { kind, message } = error.payload ?? error;
    throw new CallError(kind, message);
  }
}

/** The vendor's answer, whatever its status. */
export class Reply {
  constructor(operation, raw) {
    this.operation = operation;
    this.status = raw.status;
    this.body = raw.body;
    this.headers = new Map(raw.headers.map(({ name, value }) => [name, value]));
    this.captured = new Map(raw.captured.map(({ name, value }) => [name, value]));
  }

  header(name) {
    return this.headers.get(name);
  }

  /** The secret that stood at this JSON pointer. */
  secret(pointer) {
    const found = this.captured.get(pointer);
    if (found === undefined) {
      throw new Failure('broken', `${this.operation}: the answer has no secret at ${pointer}`);
    }
    return found;
  }

  /** The body, which must be JSON. */
  json() {
    try {
      return JSON.parse(text(this.body));
    } catch {
      throw new Failure('broken', `${this.operation}: the answer is no JSON`);
    }
  }

  /** The reply itself when its status is one of these (or any 2xx), else the failure that it means. */
  expect(what, ...statuses) {
    const ok = statuses.length > 0 ? statuses.includes(this.status) : this.status >= 200 && this.status < 300;
    if (ok) return this;
    throw new Failure(kindOf(this.status), `${what}: the vendor answered ${this.status}${this.#said()}`, {
      retryAfterMs: this.#retryAfterMs(),
    });
  }

  #said() {
    try {
      const { message, error } = JSON.parse(text(this.body));
      const said = message ?? error;
      return typeof said === 'string' ? `: ${said}` : '';
    } catch {
      return '';
    }
  }

  #retryAfterMs() {
    const after = this.header('retry-after');
    return after !== undefined && /^[0-9]{1,5}$/.test(after) ? Number(after) * 1000 : undefined;
  }
}

function kindOf(status) {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 400 || status === 422) return 'invalid';
  if (status === 402) return 'declined';
  if (status === 409) return 'conflict';
  if (status === 408 || status === 423 || status === 429 || status >= 500) return 'unavailable';
  return 'broken';
}

/**
 * Makes something exactly once, and gives it.
 *
 * Looks first, because an earlier run may have made it and died. Then creates. When the answer is lost or cannot be read,
 * or the vendor says that it exists already, looks several times over some seconds; only what is surely absent is created
 * again. `find` gives undefined when there is none; it must recognise its own by the mark, never by name alone.
 */
export function ensure(find, create) {
  let found = find();
  if (found !== undefined) return found;
  let last;
  for (let attempt = 0; attempt < CREATE_ATTEMPTS; attempt += 1) {
    try {
      return create();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      last = error;
    }
    const unknown = last.kind === 'broken' || ['outcome-unknown', 'too-large'].includes(last.reason);
    if (!unknown && last.kind !== 'conflict') throw last;
    log(`${last.message}; looking whether it exists`);
    for (const ms of LOOKS_MS) {
      wait(ms);
      found = find();
      if (found !== undefined) return found;
    }
    if (!unknown) throw last;
  }
  throw last;
}

/** Asks until the answer is not undefined, or patience is over. Asks at least once, and once more at the end. */
export function poll(patienceMs, intervalMs, ask) {
  const deadline = nowMs() + patienceMs;
  for (;;) {
    const now = nowMs();
    const answer = ask();
    if (answer !== undefined || now >= deadline) return answer;
    wait(Math.min(intervalMs, deadline - now));
  }
}

/** Every item of every page. `page(cursor)` gives `{ items, next }`; the first cursor is undefined. */
export function* pages(page) {
  let cursor;
  for (let seen = 0; seen < PAGES_MAX; seen += 1) {
    const { items, next } = page(cursor);
    yield* items;
    if (!next || next === cursor) return;
    cursor = next;
  }
  throw new Failure('broken', `the list has no end: gave up after ${PAGES_MAX} pages`);
}

/** What the contract looks for: `export const lifecycle = provisioner({ manifest, apply, read, destroy })`. */
export function provisioner({ manifest, apply, read, destroy }) {
  return {
    manifest: () => JSON.stringify({ manifest: 1, ...manifest }),
    apply: (service, recorded) => answer(() => {
      const { made, summary, outputs = {} } = apply(serviceOf(service), recordOf(recorded));
      const named = Object.entries(outputs).map(([name, value]) => ({ name, value }));
      return { made: rawRecord(made), outputs: named, summary };
    }),
    read: (service, recorded) => answer(() => {
      const found = read(serviceOf(service), recordOf(recorded));
      return found === undefined ? undefined : rawRecord(found);
    }),
    destroy: (recorded) => answer(() => {
      destroy(recordOf(recorded));
    }),
  };
}

function serviceOf({ id, target, inputs, mark }) {
  return { id, target: JSON.parse(target), inputs: Object.fromEntries(inputs.map(({ name, value }) => [name, value])), mark };
}

function recordOf(raw) {
  if (raw === undefined || raw === null) return undefined;
  return { id: raw.id, attributes: JSON.parse(raw.attributes), url: raw.url ?? undefined, schema: raw.schema };
}

function rawRecord({ id, attributes, url, schema = 1 }) {
  return { id, attributes: JSON.stringify(attributes), url, schema };
}

// A failure becomes the contract's own; whatever else is thrown becomes one that says where.
function answer(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Failure) {
      const details = error.details === undefined ? undefined : JSON.stringify(error.details);
      throw { kind: error.kind, message: error.message, retryAfterMs: error.retryAfterMs, details };
    }
    const where = String(error?.stack ?? '').trim().split('\n')[0] ?? '';
    throw { kind: 'broken', message: `${error} (${where.trim()})` };
  }
}

// QuickJS has neither TextEncoder nor TextDecoder.
function utf8(value) {
  return Uint8Array.from(unescape(encodeURIComponent(value)), (character) => character.charCodeAt(0));
}

function text(bytes) {
  return decodeURIComponent(escape(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')));
}
