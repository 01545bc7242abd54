/**
 * The text.
 *
 * Effect: read
 * @param {string} text
 * @returns {string}
 */
export function echo(text) {
  return text;
}
