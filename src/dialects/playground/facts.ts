// What the page asks once at its start: the endpoints, and their parameters with range, default and help. All of that is read
// from the schema that also checks requests.
import type { ModelInfo } from "../../request/generation.ts";
import { MODES, type ParameterLimits, requestSchema } from "../../request/params.ts";
import { expectation, fieldsOf, type JsonSchema } from "../../wording.ts";
import { type Facts, type Field, VERSION } from "./events.ts";

export interface EndpointFacts {
  readonly name: string;
  readonly model: ModelInfo;
  readonly limits: ParameterLimits;
  readonly fingerprint: string | undefined;
}

export function factsOf(release: string, endpoints: readonly EndpointFacts[]): Facts {
  return {
    version: VERSION,
    release,
    endpoints: endpoints.map(({ name, model, limits, fingerprint }) => ({
      name,
      model: model.name,
      ...(model.origin !== undefined && { origin: model.origin }),
      precision: model.precision,
      kernels: model.kernels,
      threads: model.threads,
      parameters: model.parameters,
      vocabSize: model.vocabSize,
      contextLength: model.contextLength,
      fingerprint: fingerprint ?? null,
      endOfText: model.endOfText ?? null,
      fields: parameterFields(limits),
    })),
    modes: Object.entries(MODES).map(([name, { reads, help }]) => ({ name, reads, help })),
  };
}

/** Every parameter except the text. */
function parameterFields(limits: ParameterLimits): Field[] {
  return Object.entries(fieldsOf(requestSchema(limits)))
    .filter(([name]) => name !== "input")
    .map(([name, schema]) => {
      const modes = Object.keys(MODES).filter((mode) =>
        (MODES[mode as keyof typeof MODES].reads as readonly string[]).includes(name),
      );
      return {
        name,
        help: schema.description ?? "",
        range: expectation(schema),
        ...rangeOf(schema),
        ...(schema.default !== undefined && { default: schema.default }),
        ...(modes.length > 0 && { modes }),
      };
    });
}

/** The part of a schema that an input of a form can show. A parameter that has several forms is entered as JSON. */
function rangeOf(schema: JsonSchema): Pick<Field, "type" | "minimum" | "maximum" | "isAbove" | "values"> {
  const simple = schema.anyOf?.find(({ type }) => type === "integer" || type === "number") ?? schema;
  const { type, enum: values, exclusiveMinimum } = simple;
  const { minimum = exclusiveMinimum, maximum } = simple;
  if (values) return { type: "enum", values };
  if (type === "boolean") return { type };
  if (type === "string" && !schema.anyOf) return { type };
  if (type !== "integer" && type !== "number") return { type: "json" };
  return {
    type,
    ...(minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER && { minimum }),
    ...(maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER && { maximum }),
    ...(exclusiveMinimum !== undefined && { isAbove: true as const }),
  };
}
