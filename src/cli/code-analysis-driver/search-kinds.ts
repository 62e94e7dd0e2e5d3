/** The kinds of entities, as `search --kind` names them. Here alone, so that the program need not load the client to know them. */
export const SEARCH_KINDS = ["file", "class", "method", "function"] as const;
export type SearchKind = (typeof SEARCH_KINDS)[number];
