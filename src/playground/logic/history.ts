// The earlier requests of this browser, newest first, bounded in number and size. If the browser's storage is not available, the
// history is lost silently.
import type { GenerateBody } from "../../dialects/playground/events.ts";

export interface HistoryEntry {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The request, with the seed that was used. */
  readonly body: GenerateBody;
  readonly prompt: string;
  /** The beginning of the first text. */
  readonly beginning: string;
}

/** The part of the browser's `Storage` interface that is used here. */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const KEY = "gpt2-api.history";
export const ENTRIES_MAX = 50;
export const CHARACTERS_MAX = 400_000;
const BEGINNING_CHARACTERS = 200;

export function readHistory(shelf: Shelf): readonly HistoryEntry[] {
  try {
    const value: unknown = JSON.parse(shelf.getItem(KEY) ?? "[]");
    return Array.isArray(value) ? value.filter(isEntry).slice(0, ENTRIES_MAX) : [];
  } catch {
    return [];
  }
}

/** Adds an entry, and returns the history as it was stored. */
export function addToHistory(shelf: Shelf, entry: HistoryEntry): readonly HistoryEntry[] {
  const short = { ...entry, beginning: entry.beginning.slice(0, BEGINNING_CHARACTERS) };
  const entries = [short, ...readHistory(shelf)].slice(0, ENTRIES_MAX);
  while (entries.length > 0 && JSON.stringify(entries).length > CHARACTERS_MAX) entries.pop();
  try {
    shelf.setItem(KEY, JSON.stringify(entries));
  } catch {
    // The storage is full or forbidden. The page works without it.
  }
  return entries;
}

export function clearHistory(shelf: Shelf): void {
  try {
    shelf.removeItem(KEY);
  } catch {
    // The storage is forbidden. The page works without it.
  }
}

function isEntry(value: unknown): value is HistoryEntry {
  if (typeof value !== "object" || value === null) return false;
  const { at, body, prompt, beginning } = value as Record<string, unknown>;
  return (
    typeof at === "number" &&
    typeof prompt === "string" &&
    typeof beginning === "string" &&
    typeof body === "object" &&
    body !== null
  );
}
