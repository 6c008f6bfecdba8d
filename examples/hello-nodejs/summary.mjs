// Totals of orders. Money is counted in cents, in whole numbers, so that sums are exact.

import { createHash } from "node:crypto";

const euros = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });
const weekday = new Intl.DateTimeFormat("en", { weekday: "long", timeZone: "UTC" });

/** An order that makes no sense: the caller is told which one, and why. */
export class InvalidOrder extends Error {
  name = "InvalidOrder";
}

/** Revenue, best customers first, the item sold most, the busiest day, and a checksum to compare two runs by. */
export function summarise(orders) {
  if (!Array.isArray(orders)) throw new InvalidOrder("the event has no list of orders");
  const [customers, items, days] = [new Map(), new Map(), new Map()];
  let revenue = 0;
  for (const order of orders) {
    const placed = check(order);
    const total = order.lines.reduce((sum, { quantity, cents }) => sum + quantity * cents, 0);
    revenue += total;
    add(customers, order.customer, total);
    add(days, weekday.format(placed), 1);
    for (const { item, quantity } of order.lines) add(items, item, quantity);
  }
  return {
    orders: orders.length,
    revenue: format(revenue),
    customers: ranked(customers).map(([name, spent]) => ({ name, spent: format(spent) })),
    bestSeller: ranked(items)[0]?.[0] ?? null,
    busiestDay: ranked(days)[0]?.[0] ?? null,
    checksum: createHash("sha256").update(JSON.stringify(orders)).digest("hex").slice(0, 12),
  };
}

/** The day of an order, if the order is well formed. */
function check(order) {
  const placed = new Date(order.placed ?? Number.NaN);
  const sound = (line) => Number.isInteger(line.cents) && Number.isInteger(line.quantity) && line.quantity > 0;
  if (Number.isNaN(placed.getTime())) throw new InvalidOrder(`order ${order.id} has no date`);
  if (!order.lines?.length || !order.lines.every(sound)) throw new InvalidOrder(`order ${order.id} has unsound lines`);
  return placed;
}

function add(totals, key, amount) {
  totals.set(key, (totals.get(key) ?? 0) + amount);
}

/** The largest first; of equals, the first in the alphabet. */
function ranked(totals) {
  return [...totals].sort(([a, most], [b, other]) => other - most || a.localeCompare(b));
}

function format(cents) {
  return euros.format(cents / 100);
}
