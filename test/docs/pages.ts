// The files of the repository, and the pages among them.
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Folders that git ignores, and files that others wrote. */
const NOT_OURS = [
  ...["node_modules", "dist", ".git", ".venv", ".work", ".kubernetes"],
  ...["coverage", "__pycache__", "shared"],
];

/** Paths below a folder of the repository, relative to its root. */
export function filesBelow(root: string, folder = ""): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (NOT_OURS.includes(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(root, path) : [path];
  });
}

/** The pages in Markdown. */
export const pagesOf = (root: string): string[] => filesBelow(root).filter((file) => file.endsWith(".md"));
