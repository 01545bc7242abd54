/**
 * Adds, in JavaScript.
 * @param {number} a
 * @param {number} b
 * @returns {number}
 * @effect read
 */
export function add(a, b) {
  return a + b;
}
