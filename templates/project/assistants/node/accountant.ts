// An assistant that helps with invoices. Talk to it: sabir chat accountant "What do two cups at 3.50 cost with tax?"

export const instructions = `
You help people with invoices. Call invoices.total for sums: you are not to reckon yourself. Answer in one short sentence.
`;

export const functions = ["invoices.total"];

export const maxSteps = 4;
