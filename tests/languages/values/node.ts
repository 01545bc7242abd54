// What values are when they arrive, and what comes of those that go back: tests/languages/test_values.py.

export function echo(value: unknown): unknown { return value; }

export function kind(value: unknown): string {
  if (value === null || Array.isArray(value)) return value === null ? "null" : "array";
  return ArrayBuffer.isView(value) ? value.constructor.name : typeof value;
}

export function absent(given?: string | null): string { return given === undefined ? "absent" : given === null ? "null" : given; }

export function size(data: Uint8Array): number { return data.length; }

export function bytes(count: number): Uint8Array { return new Uint8Array(count).fill(7); }

export function text(count: number): string { return "é".repeat(count); }

export function later(at: Date): Date { return new Date(at.getTime() + 1); }

export function next(n: bigint): bigint { return n + 1n; }

export function odd(name: string): unknown {
  return {nan: Number.NaN, infinity: -Infinity, surrogate: "a\ud800", inside: {"a": [Number.NaN]}, absent: undefined, member: {a: 1, b: undefined, c: [undefined]}}[name];
}
