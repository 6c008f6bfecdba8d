// The function: takes a list of orders, answers with what a shop wants to know of them.

import { summarise } from "./summary.mjs";

export const handler = async (event, context) => {
  const summary = summarise(event.orders);
  console.log("%d orders by %d customers: %s", summary.orders, summary.customers.length, summary.revenue);
  return { ...summary, preparedBy: `${context.functionName} on Node.js ${process.versions.node}` };
};
