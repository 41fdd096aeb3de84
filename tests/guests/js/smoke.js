// Goes through the whole contract once, as `smoke` in Rust and Python do; one test drives all three.
//
// `manifest.js` is made by `build-languages.sh` from `smoke/manifest.json`.

import { send } from 'starsystem:provisioner/api@0.1.0';
import { nowMs, random, wait } from 'starsystem:provisioner/clock@0.1.0';
import { checkpoint, log, step } from 'starsystem:provisioner/progress@0.1.0';
import { compose } from 'starsystem:provisioner/secrets@0.1.0';
import { manifest } from './manifest.js';

export const lifecycle = {
  manifest() {
    return JSON.stringify(manifest);
  },

  apply(service, recorded) {
    const target = JSON.parse(service.target);
    if (target.decline === true) {
      const details = JSON.stringify({ why: 'grüße' });
      throw { kind: 'declined', message: 'the target says no', retryAfterMs: 2_000_000_000, details };
    }
    if (recorded != null) {
      return { made: recorded, outputs: [], summary: 'nothing to change' };
    }
    log(`applying ${service.id} as ${service.mark}`);
    const body = {
      name: target.name,
      mark: service.mark,
      token: null,
      at: nowMs(),
      nonce: [...random(4)],
    };
    const fill = service.inputs.map(({ value }) => ({ pointer: '/token', value }));
    const reply = ask('createThing', 'project', 'a/b ü', body, fill);
    if (reply.status !== 201) {
      throw broken(`createThing answered ${reply.status}`);
    }
    const made = record(parse(reply.body).id, target.name);
    checkpoint(made);
    step(`thing created: ${made.id}`);
    wait(250);
    return { made, outputs: [url(made.id, reply)], summary: 'thing created, 1 output' };
  },

  read(service, recorded) {
    const reply = ask('getThing', 'id', recorded.id, undefined, []);
    return reply.status === 404 ? undefined : record(recorded.id, parse(reply.body).name);
  },

  destroy(recorded) {
    const { status } = ask('deleteThing', 'id', recorded.id, undefined, []);
    if (status !== 204 && status !== 404) {
      throw broken(`deleteThing answered ${status}`);
    }
  },
};

function ask(operation, name, value, body, fill) {
  const bytes = body === undefined ? undefined : utf8(JSON.stringify(body));
  try {
    return send({ operation, params: [{ name, value }], body: bytes, fill });
  } catch (error) {
    const { kind, message } = error.payload ?? error;
    throw { kind: 'unavailable', message: `${kind}: ${message}` };
  }
}

function url(thing, reply) {
  const password = reply.captured.find((secret) => secret.name === '/password');
  if (password === undefined) {
    throw broken('there is no password');
  }
  const template = `thing://{password|url}@api.example.com/${thing}`;
  const value = compose(template, [{ name: 'password', value: password.value }]);
  return { name: 'THING_URL', value };
}

function record(thing, name) {
  const attributes = JSON.stringify({ name });
  return { id: thing, attributes, url: `https://api.example.com/things/${thing}`, schema: 1 };
}

function broken(message) {
  return { kind: 'broken', message };
}

// QuickJS has neither TextEncoder nor TextDecoder.
function utf8(text) {
  const bytes = unescape(encodeURIComponent(text));
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}

function parse(bytes) {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return JSON.parse(decodeURIComponent(escape(text)));
}
