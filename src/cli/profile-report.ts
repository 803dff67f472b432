// `bench --profile`: puts the profiles of passes into tables.
import type { Profile, ProfileLine } from "../offline/profile.ts";

export function profileText(profiles: readonly Profile[]): string {
  return profiles.map(tableOf).join("");
}

function tableOf({ name, ms, lines }: Profile): string {
  const total = lines.reduce((sum, line) => sum + line.ms, 0);
  const title = `${name}: ${ms.toFixed(2)} ms, and ${total.toFixed(2)} ms with each kernel timed by itself`;
  const head = `${"kernel".padEnd(30)}count        ms   part  limit ms   ratio`;
  return `\n${[title, head, ...lines.map((line) => rowOf(line, total))].join("\n")}\n`;
}

function rowOf({ name, count, ms, limitMs }: ProfileLine, total: number): string {
  const limit = limitMs === undefined ? ["", ""] : [limitMs.toFixed(2), (ms / limitMs).toFixed(2)];
  return [
    name.padEnd(30),
    String(count).padStart(4),
    ms.toFixed(2).padStart(9),
    `${((100 * ms) / total).toFixed(0)} %`.padStart(6),
    (limit[0] as string).padStart(9),
    (limit[1] as string).padStart(7),
  ]
    .join(" ")
    .trimEnd();
}
