/** A secret that the host keeps: it can be filled into a request or given as an output, and never be read. */
export type Secret = number & { readonly secret: unique symbol };

export type FailureKind = 'invalid' | 'unauthorized' | 'declined' | 'conflict' | 'unavailable' | 'broken';

/** Throw it to end a call. The message says in one or two sentences what happened and what to do. */
export class Failure extends Error {
  constructor(kind: FailureKind, message: string, more?: { retryAfterMs?: number; details?: object });
  readonly kind: FailureKind;
  readonly retryAfterMs?: number;
  readonly details?: object;
}

/** There is no reply. */
export class CallError extends Failure {
  readonly reason: 'denied' | 'timed-out' | 'unreachable' | 'too-large' | 'outcome-unknown';
}

/** The vendor's answer, whatever its status. */
export interface Reply {
  readonly operation: string;
  readonly status: number;
  readonly body: Uint8Array;
  header(name: string): string | undefined;
  secret(pointer: string): Secret;
  json<T = any>(): T;
  expect(what: string, ...statuses: number[]): Reply;
}

/** What the user wants. `mark` is what proves a resource to be this service's. */
export interface Service<Target> {
  readonly id: string;
  readonly target: Target;
  readonly inputs: Readonly<Record<string, Secret>>;
  readonly mark: string;
}

/** What is kept about a resource: facts that `read` can see again. Never a secret, never what moves by itself. */
export interface Recorded<Attributes> {
  id: string;
  attributes: Attributes;
  url?: string;
  schema?: number;
}

/** What `apply` made. */
export interface Outcome<Attributes> {
  made: Recorded<Attributes>;
  summary: string;
  outputs?: Record<string, Secret>;
}

export interface Operation {
  name: string;
  route: string;
  query?: string[];
  in?: ('create' | 'update' | 'destroy' | 'exec')[];
  owns?: Record<string, string>;
  adopts?: { param: string; id?: string; mark: string }[];
  destroys?: boolean;
  secrets?: string[];
  fills?: string[];
  repeatable?: boolean;
  [more: string]: unknown;
}

/** The manifest; `docs/manifest.md` has every field. */
export interface Manifest {
  name: string;
  version: string;
  description: string;
  targets: {
    type: string;
    description: string;
    schema: object;
    creates: string;
    data?: boolean;
    outputs?: { name: string; description: string }[];
    [more: string]: unknown;
  }[];
  credentials?: { name: string; description: string; verify?: string }[];
  connections?: { name: string; base_url: string; auth?: { bearer: string }; operations: Operation[] }[];
}

export interface Provisioner<Target, Attributes> {
  manifest: Manifest;
  /** Makes the resource as wanted. Applying twice is the same as once; `recorded` may be a dead run's checkpoint. */
  apply(service: Service<Target>, recorded?: Recorded<Attributes>): Outcome<Attributes>;
  /** Reads the resource as it is; undefined when it no longer exists. */
  read(service: Service<Target>, recorded: Recorded<Attributes>): Recorded<Attributes> | undefined;
  /** Removes the resource. One that is already gone is a success. */
  destroy(recorded: Recorded<Attributes>): void;
}

export function provisioner<Target, Attributes>(one: Provisioner<Target, Attributes>): unknown;
export function call(
  operation: string,
  params?: Record<string, string | number | undefined | null>,
  more?: { body?: unknown; fill?: Record<string, Secret> },
): Reply;
export function ensure<T>(find: () => T | undefined, create: () => T): T;
export function poll<T>(patienceMs: number, intervalMs: number, ask: () => T | undefined): T | undefined;
export function pages<T>(page: (cursor?: string) => { items: T[]; next?: string | null }): Generator<T>;
export function compose(template: string, parts: Record<string, Secret>): Secret;
export function checkpoint(recorded: Recorded<any>): void;
export function step(message: string): void;
export function log(message: string): void;
export function nowMs(): number;
export function wait(ms: number): void;
export function randomBytes(count: number): Uint8Array;
