// Fixtures for tests of a Sabir project; testing.mjs says what they are.
import type * as sdk from "sabir";

export interface Engine {
  readonly root: string;
  readonly folder: string;
  run(...words: unknown[]): Promise<any>;
  set(name: string, value: string | null): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface Models {
  reply(text: string | undefined, how?: {contains?: string; matches?: string; [more: string]: unknown}): Promise<void>;
  script(replies: Iterable<object>): Promise<void>;
}

export interface Fixtures {
  engine: Engine;
  sabir: typeof sdk;
  memory: typeof sdk.memory;
  models: Models;
  secrets: {set(name: string, value: string): Promise<void>};
  recording(): Promise<Engine>;
  deployed(): Promise<typeof sdk | null>;
  close(): Promise<void>;
}

export function fixtures(t?: object): Promise<Fixtures>;
