// What is kept here, every language of the project reads: they share one store.
import * as sabir from "sabir";

/**
 * Keeps a result under a name, in place of the one that was there.
 *
 * @param result anything that JSON can hold
 * @param name what to ask for it by
 * @returns the result's version: 1 for the first of that name, then 2, and so on
 */
export async function storeResult(result: unknown, name: string = "latest"): Promise<number> {
  return sabir.memory.put(`results/${name}`, result);
}

/**
 * Gives back the result that was last stored under a name, or null if there is none.
 *
 * Effect: read
 * @param name the name it was stored under
 */
export async function retrieveResult(name: string = "latest"): Promise<unknown> {
  return (await sabir.memory.get(`results/${name}`)) ?? null;
}
