// Export: the request as commands and programs, as a link and as a file; and the whole answer.
import { useState } from "preact/hooks";
import type { Clients, GenerateBody } from "../../dialects/playground/events.ts";
import { runAsJson, runAsMarkdown } from "../logic/export.ts";
import { type Run, withSeedOf } from "../logic/run.ts";
import { toFragment } from "../logic/share.ts";
import { CopyButton, download, useLater } from "./parts.tsx";
import { server } from "./server.ts";
import type { ViewProps } from "./view-props.ts";

interface RequestPanelProps extends Pick<ViewProps, "actions"> {
  readonly run: Run | undefined;
}

const FILES = [
  { ending: "json", label: "JSON", type: "application/json", write: runAsJson },
  { ending: "md", label: "Markdown", type: "text/markdown", write: runAsMarkdown },
] as const;

export function RequestPanel({ actions, run }: RequestPanelProps) {
  const [isOpen, setOpen] = useState(false);
  const written = actions.body();
  const body = written && withSeedOf(written, run);
  const fragment = body && toFragment(body);
  const link = fragment && `${location.origin}${location.pathname}${fragment}`;
  return (
    <section class="way-out" aria-label="Request and answer">
      <div class="buttons">
        {link && <CopyButton label="Copy link" text={link} />}
        {run?.start &&
          FILES.map(({ ending, label, type, write }) => (
            <button
              key={ending}
              type="button"
              class="quiet"
              onClick={() => download(`gpt2.${ending}`, type, write(run))}
            >
              Save as {label}
            </button>
          ))}
      </div>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>This request as a command or a program</summary>
        {isOpen &&
          (body ? (
            <ClientCode actions={actions} body={body} />
          ) : (
            <p class="help">Some parameters are wrong.</p>
          ))}
      </details>
      {run?.end && (
        <details>
          <summary>The answer as JSON</summary>
          <Code text={JSON.stringify(run.end.answer, null, 2)} label="The answer" />
        </details>
      )}
    </section>
  );
}

function ClientCode({ actions, body }: Pick<ViewProps, "actions"> & { readonly body: GenerateBody }) {
  const [answer, setAnswer] = useState<Clients>();
  const [chosen, setChosen] = useState(0);
  useLater(
    async (signal) => {
      try {
        setAnswer(await server.clients(body, signal));
      } catch (error) {
        if (!signal.aborted) actions.fail(error);
      }
    },
    [JSON.stringify(body)],
  );
  if (!answer) return null;
  const tabs = answer.clients.map(({ client, code }) => ({ name: client, code }));
  const shown = tabs[chosen] ?? tabs[0];
  return (
    <>
      <fieldset class="modes">
        <legend class="unseen">Client</legend>
        <div class="choices">
          {tabs.map(({ name }, index) => (
            <label key={name}>
              <input
                type="radio"
                name="client"
                checked={index === chosen}
                onChange={() => setChosen(index)}
              />
              <span>{name}</span>
            </label>
          ))}
        </div>
      </fieldset>
      {shown && <Code text={shown.code} label={shown.name} />}
    </>
  );
}

function Code({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <div class="code">
      <CopyButton text={text} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard */}
      <section tabIndex={0} aria-label={label}>
        <pre dir="ltr">{text}</pre>
      </section>
    </div>
  );
}
