// A record at Zonely, an imaginary DNS host.

import { Failure, call, checkpoint, ensure, pages, provisioner, step } from 'starsystem-provisioner';

const RECORDS = '/zones/{zone}/records';
const RECORD = '/zones/{zone}/records/{record}';

const manifest = {
  name: 'dns-js',
  version: '0.1.0',
  description: 'Records at Zonely, an imaginary DNS host; written in JavaScript.',
  targets: [{
    type: 'dns-js',
    description: 'One DNS record.',
    creates: 'record {name} in {zone}',
    outputs: [{ name: 'DNS_UPDATE_TOKEN', description: 'With it a machine may update the record by itself.' }],
    schema: {
      type: 'object',
      additionalProperties: false,
      required: ['zone', 'name', 'content'],
      properties: {
        zone: { type: 'string', description: 'The zone that the record is in: example.org.', 'x-immutable': true },
        name: { type: 'string', description: "The record's name within the zone: www." },
        content: { type: 'string', description: 'The address it leads to.' },
        ttl: { type: 'integer', description: 'How many seconds an answer may be kept.', default: 300, minimum: 60 },
      },
    },
  }],
  credentials: [{ name: 'dns-js.api_token', description: 'A Zonely token, from its settings page.', verify: 'whoAmI' }],
  connections: [{
    name: 'dns-js-api',
    base_url: 'https://api.zonely.example/v1',
    auth: { bearer: 'dns-js.api_token' },
    operations: [
      { name: 'whoAmI', route: 'GET /me' },
      {
        name: 'listRecords', route: `GET ${RECORDS}`, query: ['cursor'],
        adopts: [{ param: 'record', id: '/records/*/id', mark: '/records/*/comment' }],
      },
      { name: 'getRecord', route: `GET ${RECORD}`, secrets: ['/update_token'], adopts: [{ param: 'record', mark: '/comment' }] },
      { name: 'createRecord', route: `POST ${RECORDS}`, in: ['create'], owns: { record: '/id' }, secrets: ['/update_token'] },
      { name: 'updateRecord', route: `PATCH ${RECORD}`, in: ['create', 'update'], repeatable: true, secrets: ['/update_token'] },
      { name: 'deleteRecord', route: `DELETE ${RECORD}`, in: ['destroy'], destroys: true, repeatable: true },
    ],
  }],
};

function apply(service, recorded) {
  const { zone } = service.target;
  if (recorded === undefined) {
    const id = ensure(() => find(zone, service.mark), () => create(service));
    recorded = { id, attributes: { zone } };
    checkpoint(recorded);
  }
  if (get(zone, recorded.id) === undefined) {
    throw new Failure('conflict', `record ${recorded.id} was deleted meanwhile; \`ss deploy --refresh\` makes it again`);
  }
  const reply = call('updateRecord', { zone, record: recorded.id }, { body: wanted(service) }).expect('update the record');
  return {
    made: recordOf(zone, reply.json()),
    summary: 'record ready',
    outputs: { DNS_UPDATE_TOKEN: reply.secret('/update_token') },
  };
}

function read(_service, recorded) {
  const { zone } = recorded.attributes;
  const found = get(zone, recorded.id);
  return found && recordOf(zone, found);
}

function destroy({ id, attributes: { zone } }) {
  call('deleteRecord', { zone, record: id }).expect('delete the record', 204, 404);
}

function wanted({ target: { name, content, ttl }, mark }) {
  return { name, content, ttl, comment: mark };
}

function find(zone, mark) {
  const all = pages((cursor) => {
    const { records, next } = call('listRecords', { zone, cursor }).expect('list the records').json();
    return { items: records, next };
  });
  for (const record of all) {
    if (record.comment === mark) return record.id;
  }
  return undefined;
}

function create(service) {
  const { id } = call('createRecord', { zone: service.target.zone }, { body: wanted(service) }).expect('create the record').json();
  step(`Record created: ${id}`);
  return id;
}

function get(zone, id) {
  const reply = call('getRecord', { zone, record: id }).expect('read the record', 200, 404);
  return reply.status === 404 ? undefined : reply.json();
}

function recordOf(zone, { id, name, content, ttl }) {
  return { id, attributes: { zone, name, content, ttl } };
}

export const lifecycle = provisioner({ manifest, apply, read, destroy });
