// Exports a run as JSON or as Markdown. In Markdown the texts are in fences that are longer than any run of backticks in them, so that
// generated text never becomes markup.
import { percent } from "./heat.ts";
import { type Run, textOf } from "./run.ts";

export function runAsJson(run: Run): string {
  const { body, start, sequences, beams, end, error } = run;
  return `${JSON.stringify(
    {
      request: body,
      seed: start?.seed,
      prompt: start?.prompt,
      sequences: sequences.map(({ tokens, end: own }, index) => ({
        text: textOf(run, index),
        tokens,
        ...own,
      })),
      ...(beams.length > 0 && { beams }),
      ...(end && { timing: timing(end), answer: end.answer }),
      ...(error && { error }),
    },
    null,
    2,
  )}\n`;
}

function timing(end: NonNullable<Run["end"]>): object {
  const { promptTokens, cachedTokens, generatedTokens, queueMs, firstTokenMs, totalMs, fingerprint } = end;
  return { promptTokens, cachedTokens, generatedTokens, queueMs, firstTokenMs, totalMs, fingerprint };
}

export function runAsMarkdown(run: Run): string {
  const parts = ["# A text of GPT-2", "", "Request:", "", fenced(JSON.stringify(run.body, null, 2), "json")];
  if (run.start) parts.push("", `Seed ${run.start.seed}.`);
  for (const [index, { tokens, end }] of run.sequences.entries()) {
    const reason = end ? `, ended by ${end.finishReason}` : "";
    const known = tokens.flatMap(({ logprob }) => (logprob === null ? [] : [logprob]));
    const mean = known.reduce((sum, logprob) => sum + logprob, 0) / known.length;
    const likely = known.length > 0 ? `, ${percent(Math.exp(mean))} a token in the mean` : "";
    parts.push("", `## Text ${index + 1}: ${tokens.length} new tokens${reason}${likely}`, "");
    parts.push(fenced(textOf(run, index), "text"));
  }
  return `${parts.join("\n")}\n`;
}

function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}
