/** One line of an invoice. */
export interface Item {
  name: string;
  /** Price of one piece, without tax. */
  price: number;
  /** @minimum 1 */
  pieces?: number;
}

export interface Total {
  net: number;
  tax: number;
  gross: number;
}

const cents = (value: number): number => Math.round(value * 100) / 100;

/**
 * Adds up an invoice.
 *
 * Effect: read
 * @param items what was bought
 * @param percent the rate of tax
 */
export function total(items: Item[], percent: number = 20): Total {
  const net = items.reduce((sum, item) => sum + item.price * (item.pieces ?? 1), 0);
  const tax = (net * percent) / 100;
  return {net: cents(net), tax: cents(tax), gross: cents(net + tax)};
}

/**
 * Tells the lines of an invoice one after the other, as they would be printed.
 *
 * Effect: read
 * @param items what was bought
 */
export function* lines(items: Item[]): Generator<string> {
  for (const item of items) yield `${item.pieces ?? 1} × ${item.name}: ${cents(item.price * (item.pieces ?? 1)).toFixed(2)}`;
}
