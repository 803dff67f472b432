// Traces through OpenTelemetry's API, which does nothing unless the operator starts Node with an SDK. Each request gets one
// span. It is made when the request is over, because the server calls no other service that would need the context. The
// attributes are those of the log line. They have no texts and no signatures.
import type { IncomingHttpHeaders } from "node:http";
import { type Context, context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";

export interface TracedRequest {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly status: number | "aborted";
  readonly requestId: string;
  readonly startedMs: number;
  /** They become attributes: `firstTokenMs` is `gpt2.first_token_ms`. */
  readonly facts: Readonly<Record<string, string | number | undefined>>;
}

const tracer = trace.getTracer("gpt2-api");

/** The parent of a request's span: a span that is active here, or the caller's, from the headers. */
export function traceContext(headers: IncomingHttpHeaders): Context {
  const active = context.active();
  return trace.getSpan(active) === undefined ? propagation.extract(active, headers) : active;
}

/** Records a request that is over. */
export function traceRequest(request: TracedRequest, parent: Context): void {
  const { name, method, path, status, requestId, startedMs, facts } = request;
  const attributes = {
    "http.request.method": method,
    "url.path": path,
    "gpt2.request_id": requestId,
    ...(status === "aborted" ? { "gpt2.aborted": true } : { "http.response.status_code": status }),
    ...Object.fromEntries(Object.entries(facts).map(([fact, value]) => [attributeOf(fact), value])),
  };
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: startedMs, attributes }, parent);
  // A request that ran into its deadline has a status below 500, but it is an error of the server.
  const isOurs = typeof status === "number" && (status >= 500 || facts.errorCode === "timed_out");
  if (isOurs) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

function attributeOf(fact: string): string {
  return `gpt2.${fact.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}
