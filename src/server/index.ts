// The server as a library: its doors as Fastify applications, which can listen, be embedded, or be called with `inject`. Who
// creates one also closes it, and the models that it was given.
export { loadGenerator } from "../generator/load-generator.ts";
export type { Generator } from "../request/generation.ts";
export { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
export type { KeyPair, Keys } from "./access/authentication.ts";
export { type ContainerOptions, createContainerApp } from "./doors/container.ts";
export { type AppOptions, createApp } from "./doors/runtime.ts";
export type { HeldGenerator, ModelSource } from "./doors/served-model.ts";
