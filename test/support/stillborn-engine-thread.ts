// The engine thread, but its helper threads end while they start.
process.on("worker", (helper) => void helper.terminate());

await import("../../src/engine/thread/entry.ts");
