// Uses a minimal OpenTelemetry SDK: a provider that records its spans, and the propagation of W3C's traceparent.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  type Context,
  propagation,
  type Span,
  type SpanContext,
  type SpanOptions,
  type SpanStatus,
  trace,
} from "@opentelemetry/api";
import { aFront, post, send } from "../../../test/support/front.ts";
import { connected, listening, postRequest } from "../../../test/support/sockets.ts";
import { GptError } from "../../errors.ts";

interface Recorded extends SpanOptions {
  readonly name: string;
  readonly parent: SpanContext | undefined;
  status?: SpanStatus;
  ended: boolean;
}

const spans: Recorded[] = [];

function startSpan(name: string, options: SpanOptions = {}, context?: Context): Span {
  const recorded: Recorded = {
    ...options,
    name,
    parent: context && trace.getSpanContext(context),
    ended: false,
  };
  spans.push(recorded);
  return {
    setStatus: (status: SpanStatus) => {
      recorded.status = status;
    },
    end: () => {
      recorded.ended = true;
    },
  } as unknown as Span;
}

trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: () => assert.fail() }) });
propagation.setGlobalPropagator({
  inject: () => {},
  fields: () => ["traceparent"],
  extract(context, carrier, getter) {
    const header = String(getter.get(carrier, "traceparent") ?? "");
    const [, traceId, spanId, flags] = /^00-(\w{32})-(\w{16})-(\w\w)$/.exec(header) ?? [];
    if (traceId === undefined || spanId === undefined) return context;
    return trace.setSpanContext(context, { traceId, spanId, traceFlags: Number(flags), isRemote: true });
  },
});
after(() => {
  trace.disable();
  propagation.disable();
});

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";

test("a request is one span in its caller's trace, with the fields of the log line and no text", async () => {
  spans.length = 0;
  const { app } = aFront();
  const before = Date.now();
  const headers = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` };
  const { headers: answer } = await post(app, { input: "private text" }, { headers });
  const [span, ...others] = spans;
  assert.ok(span && others.length === 0);
  const { name, parent, attributes, startTime, status, ended } = span;
  assert.deepEqual([name, parent?.traceId, parent?.spanId], ["InvokeEndpoint", TRACE_ID, SPAN_ID]);
  assert.ok(Number(startTime) >= before && ended && status === undefined);
  assert.deepEqual(attributes, {
    "http.request.method": "POST",
    "url.path": "/endpoints/gpt-2/invocations",
    "http.response.status_code": 200,
    "gpt2.request_id": answer["x-amzn-requestid"],
    "gpt2.endpoint": "gpt-2",
    "gpt2.key_id": "AKIDEXAMPLE",
    "gpt2.prompt_tokens": 1,
    "gpt2.generated_tokens": 1,
    "gpt2.cached_tokens": 0,
    "gpt2.queue_ms": 1,
    "gpt2.first_token_ms": 2,
    "gpt2.total_ms": 3,
  });
});

test("a failure of the server marks its span, a refusal does not, and health checks have no span", async () => {
  spans.length = 0;
  const { app, generator } = aFront();
  await send(app, { method: "GET", url: "/ping" });
  await post(app, { input: 5 });
  generator.failure = new Error("defect");
  await post(app, { input: "" });
  generator.failure = new GptError("timed_out", "late");
  await post(app, { input: "" });
  const found = spans.map(({ parent, status, attributes }) => [
    parent,
    status?.code,
    attributes?.["gpt2.error_type"],
  ]);
  assert.deepEqual(found, [
    [undefined, undefined, "ModelError"],
    [undefined, 2, "InternalFailure"],
    [undefined, 2, "ModelError"],
  ]);
});

test("a caller that leaves during the computation is in the log and in a span, once", async (context) => {
  spans.length = 0;
  const lines: string[] = [];
  const logger = { level: "info", stream: { write: (line: string) => void lines.push(line) } };
  const { app, generator, origin } = await listening(context, {}, { logger });
  generator.waits = true;
  const socket = await connected(app);
  socket.write(postRequest(origin, { input: "" }));
  await generator.wasAsked;
  socket.destroy();
  await generator.wasCancelled;
  await new Promise((resolve) => setImmediate(resolve));
  const requests = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "request");
  assert.equal(requests.length, 1);
  const { status, operation, endpoint, keyId, ms } = requests[0];
  assert.deepEqual(
    [status, operation, endpoint, keyId],
    ["aborted", "InvokeEndpoint", "gpt-2", "AKIDEXAMPLE"],
  );
  assert.equal(typeof ms, "number");
  assert.deepEqual(
    spans.map(({ name, attributes }) => [name, attributes?.["gpt2.aborted"]]),
    [["InvokeEndpoint", true]],
  );
});
