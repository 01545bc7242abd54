// Does through the SDK what tests/languages/sdk_behaviour.json asks.
import * as sabir from "sabir";
import type {Context, Message} from "sabir";

/** The SDK's call. */
export async function probeCall(address: string, arguments_: Record<string, unknown>): Promise<unknown> {
  return await sabir.call(address, arguments_);
}

/** The error that comes. */
export async function probeCallError(address: string, arguments_: Record<string, unknown>): Promise<{type: string; message: string; hint: string}> {
  try {
    await sabir.call(address, arguments_);
  } catch (error) {
    if (error instanceof sabir.SabirError) return {type: error.type, message: error.message, hint: error.hint};
    throw error;
  }
  throw new Error("there was no error");
}

/** The addresses of all functions. */
export async function probeFunctions(): Promise<string[]> {
  return (await sabir.functions()).map((one) => one.address).sort();
}

/** Memory put. */
export async function probePut(key: string, value: unknown, namespace = ""): Promise<number> {
  return await sabir.memory.put(key, value, namespace === "" ? {} : {namespace});
}

/** Conditional put. */
export async function probePutIf(key: string, value: unknown, version: number): Promise<{version?: number; type?: string}> {
  try {
    return {version: await sabir.memory.put(key, value, {ifVersion: version})};
  } catch (error) {
    return {type: (error as sabir.SabirError).type};
  }
}

/** Memory get. */
export async function probeGet(key: string, namespace = ""): Promise<unknown> {
  return await sabir.memory.get(key, namespace === "" ? {} : {namespace});
}

/** Memory list. */
export async function probeList(prefix: string): Promise<{key: string; value: unknown}[]> {
  return (await sabir.memory.list(prefix)).map(({key, value}) => ({key, value}));
}

/** Memory delete. */
export async function probeDelete(key: string): Promise<boolean> {
  return await sabir.memory.delete(key);
}

/** Adds a message. */
export async function probeAppend(conversation: string, role: string, content: string): Promise<number> {
  return await sabir.memory.append(conversation, {role, content});
}

/** The last messages. */
export async function probeMessages(conversation: string, limit = 0): Promise<Message[]> {
  return await sabir.memory.messages(conversation, limit === 0 ? {} : {limit});
}

/** A completion's text. */
export async function probeRender(name: string, variables: Record<string, unknown>): Promise<string> {
  return await sabir.render(name, variables);
}

/** A model's reply. */
export async function probeComplete(prompt: string): Promise<string> {
  return (await sabir.complete(prompt)).content;
}

/** Asks an assistant. */
export async function probeAsk(assistant: string, message: string): Promise<{content: string; conversation_is_set: boolean}> {
  const answer = await sabir.ask(assistant, message);
  return {content: answer.content, conversation_is_set: answer.conversation !== ""};
}

/**
 * A secret's value.
 *
 * Secrets: probe_secret
 */
export async function probeSecret(name: string): Promise<string> {
  return await sabir.secret(name);
}

/** The type of the error. */
export async function probeSecretError(name: string): Promise<string> {
  try {
    await sabir.secret(name);
  } catch (error) {
    return (error as sabir.SabirError).type;
  }
  return "";
}

/** Reports each step. */
export function probeProgress(steps: number): number {
  for (let step = 1; step <= steps; ++step) sabir.progress(step, steps);
  return steps;
}

/** One log record. */
export function probeLog(message: string): string {
  sabir.log(message);
  return message;
}

/** The caller's context. */
export function probeContext(context: Context): Context {
  return context;
}
