/** The caller's context: set by the caller, never by a model and never by the called function. */
export class Context {
  constructor(fields?: Partial<Record<"user" | "tenant" | "conversation" | "run", string>>);
  user: string;
  tenant: string;
  conversation: string;
  run: string;
  /** Aborted when the call is cancelled. */
  readonly signal: AbortSignal;
  toJSON(): {user: string; tenant: string; conversation: string; run: string};
}

/** What the engine, or a function it called, answered. */
export class SabirError extends Error {
  constructor(type: string, message?: string, hint?: string, data?: Record<string, unknown>);
  /** The error's name in snake_case: "unknown_function", "timeout", … */
  type: string;
  /** What to do next, or "". */
  hint: string;
  data: Record<string, any>;
  /** The place in a user's file, or "" and 0. */
  readonly file: string;
  readonly line: number;
}

export interface FunctionEntry {
  address: string;
  language: string;
  summary: string;
  input_schema: Record<string, any>;
  output_schema: Record<string, any>;
  effect: "read" | "write" | "irreversible";
}

export interface Message {
  role: string;
  content: string;
  [member: string]: any;
}

/** A completion. As a string, and as JSON, it is its content. */
export interface Reply {
  content: string;
  model: string;
  provider: string;
  usage: Record<string, number>;
  toolCalls: any[];
  finishReason: string;
  toString(): string;
}

/** An assistant's answer. `conversation` continues it. */
export interface AskReply {
  content: string;
  conversation: string;
  model: string;
  calls: {address: string; arguments: Record<string, any>; value?: any; error?: any}[];
  toString(): string;
}

export interface CompleteOptions {
  /** An alias of config/openai_config.yml. */
  model?: string;
  tools?: any[];
  outputSchema?: Record<string, any>;
  /** temperature, max_tokens and the like, as the provider names them. */
  [parameter: string]: any;
}

export interface Item<T = any> {
  key: string;
  value: T;
  version: number;
  /** Unix milliseconds. */
  updatedMs: number;
}

export interface Items<T = any> extends Array<Item<T>> {
  get(key: string): T | undefined;
  has(key: string): boolean;
  toObject(): Record<string, T>;
}

/** Calls a function of the project, in whatever language it is written: "module.function", "ruby/module.function". */
export function call<T = any>(address: string, args?: Record<string, any>): Promise<T>;
/** Calls a function and yields what it yields, as it comes; a function that yields nothing gives its one value. */
export function stream<T = any>(address: string, args?: Record<string, any>): AsyncGenerator<T, void, undefined>;
export function functions(): Promise<FunctionEntry[]>;
/** A completion template's text with `variables` filled in. */
export function render(name: string, variables?: Record<string, any>): Promise<string>;
/** A model's completion of a text or of messages. */
export function complete(prompt: string | Message[], options?: CompleteOptions): Promise<Reply>;
/** An assistant's answer. */
export function ask(assistant: string, message: string, options?: {conversation?: string}): Promise<AskReply>;
/** A secret's value, if the running function is granted it. */
export function secret(name: string): Promise<string>;
/** Tells the caller how far the running call is. Does nothing outside a worker. */
export function progress(done: number, total?: number | null, message?: string): void;
/** One record in the engine's log; on standard error outside a worker. */
export function log(message: unknown, level?: "debug" | "info" | "warning" | "error"): void;
/** An AbortSignal that is aborted when the running call is cancelled. */
export function signal(): AbortSignal;
/** Ends this process's connection to an engine; the next request makes another. */
export function close(): Promise<void>;

export const memory: {
  /** Stores a JSON value and returns its version. ifVersion 0: only when the key is new. ttl in seconds. */
  put(key: string, value: any, options?: {namespace?: string; ifVersion?: number; ttl?: number}): Promise<number>;
  get<T = any>(key: string, options?: {namespace?: string; default?: T}): Promise<T>;
  list<T = any>(prefix?: string, options?: {namespace?: string}): Promise<Items<T>>;
  /** Whether there was such an item. */
  delete(key: string, options?: {namespace?: string}): Promise<boolean>;
  /** Adds a message to a conversation's log and returns its number. */
  append(conversation: string, message: Message): Promise<number>;
  /** A conversation's last messages, oldest first. */
  messages(conversation: string, options?: {limit?: number}): Promise<Message[]>;
};

export const version: string;

declare const sabir: {
  Context: typeof Context; SabirError: typeof SabirError; ask: typeof ask; call: typeof call; close: typeof close;
  complete: typeof complete; functions: typeof functions; log: typeof log; memory: typeof memory; progress: typeof progress;
  render: typeof render; secret: typeof secret; signal: typeof signal; stream: typeof stream; version: string;
};
export default sabir;
