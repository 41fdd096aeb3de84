// A record at Zonely, an imaginary DNS host.

import { Failure, call, checkpoint, ensure, pages, provisioner, step } from 'starsystem-provisioner';
import type { Manifest, Outcome, Recorded, Service } from 'starsystem-provisioner';

const RECORDS = '/zones/{zone}/records';
const RECORD = '/zones/{zone}/records/{record}';

interface Target {
  zone: string;
  name: string;
  content: string;
  ttl: number;
}

/** What is kept of a record; a checkpoint knows its zone only. */
type Attributes = Pick<Target, 'zone'> & Partial<Target>;

/** A record as Zonely shows it. */
interface Found {
  id: string;
  name: string;
  content: string;
  ttl: number;
  comment: string;
}

const manifest: Manifest = {
  name: 'dns-ts',
  version: '0.1.0',
  description: 'Records at Zonely, an imaginary DNS host; written in TypeScript.',
  targets: [{
    type: 'dns-ts',
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
  credentials: [{ name: 'dns-ts.api_token', description: 'A Zonely token, from its settings page.', verify: 'whoAmI' }],
  connections: [{
    name: 'dns-ts-api',
    base_url: 'https://api.zonely.example/v1',
    auth: { bearer: 'dns-ts.api_token' },
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

function apply(service: Service<Target>, known?: Recorded<Attributes>): Outcome<Attributes> {
  const { zone } = service.target;
  const id = known?.id ?? ensure(() => find(zone, service.mark), () => create(service));
  if (known === undefined) checkpoint({ id, attributes: { zone } });
  if (get(zone, id) === undefined) {
    throw new Failure('conflict', `record ${id} was deleted meanwhile; \`ss deploy --refresh\` makes it again`);
  }
  const reply = call('updateRecord', { zone, record: id }, { body: wanted(service) }).expect('update the record');
  return {
    made: recordOf(zone, reply.json<Found>()),
    summary: 'record ready',
    outputs: { DNS_UPDATE_TOKEN: reply.secret('/update_token') },
  };
}

function read(_service: Service<Target>, known: Recorded<Attributes>): Recorded<Attributes> | undefined {
  const { zone } = known.attributes;
  const found = get(zone, known.id);
  return found && recordOf(zone, found);
}

function destroy({ id, attributes: { zone } }: Recorded<Attributes>): void {
  call('deleteRecord', { zone, record: id }).expect('delete the record', 204, 404);
}

function wanted({ target: { name, content, ttl }, mark }: Service<Target>) {
  return { name, content, ttl, comment: mark };
}

function find(zone: string, mark: string): string | undefined {
  const all = pages((cursor) => {
    const page = call('listRecords', { zone, cursor }).expect('list the records').json<{ records: Found[]; next: string | null }>();
    return { items: page.records, next: page.next };
  });
  for (const record of all) {
    if (record.comment === mark) return record.id;
  }
  return undefined;
}

function create(service: Service<Target>): string {
  const reply = call('createRecord', { zone: service.target.zone }, { body: wanted(service) }).expect('create the record');
  const { id } = reply.json<Found>();
  step(`Record created: ${id}`);
  return id;
}

function get(zone: string, id: string): Found | undefined {
  const reply = call('getRecord', { zone, record: id }).expect('read the record', 200, 404);
  return reply.status === 404 ? undefined : reply.json<Found>();
}

function recordOf(zone: string, { id, name, content, ttl }: Found): Recorded<Attributes> {
  return { id, attributes: { zone, name, content, ttl } };
}

export const lifecycle = provisioner({ manifest, apply, read, destroy });
