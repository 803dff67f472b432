// Repositories for the fake hub: names, seeded contents, and the hashes that a hub computes.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface FakeFile {
  readonly content: Buffer;
  /** The name of the blob: SHA-256 for a large file, git's SHA-1 for others. */
  readonly etag: string;
  readonly isLarge: boolean;
}

export interface FakeRepository {
  /** The name, with the owner. */
  readonly id: string;
  /** Branch, tag or other reference → commit. */
  readonly refs: Map<string, string>;
  /** Commit → path → file. */
  readonly commits: Map<string, ReadonlyMap<string, FakeFile>>;
  readonly isPrivate: boolean;
  readonly isGated: boolean;
}

interface RepositoryOptions {
  readonly isPrivate?: boolean;
  readonly isGated?: boolean;
}

const LARGE = /\.(safetensors|bin|h5|msgpack|onnx|gguf)$/;

export function fakeFile(path: string, content: Buffer): FakeFile {
  const isLarge = LARGE.test(path);
  return { content, isLarge, etag: isLarge ? sha256(content) : gitHash(content) };
}

export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** SHA-1 of a git blob. */
export function gitHash(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

/** A repository with one commit on `main`. */
export function fakeRepository(
  id: string,
  contents: Readonly<Record<string, Buffer | string>>,
  { isPrivate = false, isGated = false }: RepositoryOptions = {},
): FakeRepository {
  const repository = { id, refs: new Map(), commits: new Map(), isPrivate, isGated };
  addCommit(repository, "main", contents);
  return repository;
}

/** Adds a commit to a branch, and returns it. */
export function addCommit(
  repository: FakeRepository,
  ref: string,
  contents: Readonly<Record<string, Buffer | string>>,
): string {
  const files = new Map(
    Object.entries(contents).map(([path, content]) => [path, fakeFile(path, Buffer.from(content))]),
  );
  const commit = gitHash(Buffer.from(JSON.stringify([...files].map(([path, { etag }]) => [path, etag]))));
  repository.commits.set(commit, files);
  repository.refs.set(ref, commit);
  return commit;
}

/** Pseudorandom bytes from a seed. */
export function seededBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export const GPT2_CONFIG = JSON.stringify({ model_type: "gpt2", n_head: 2, n_embd: 16, n_layer: 1 });

/** Files with the names of a small GPT-2. The weights are random bytes. */
export function modelContents(weightBytes = 200_000, seed = 1): Record<string, Buffer | string> {
  return {
    "README.md": "# A model",
    "config.json": GPT2_CONFIG,
    "generation_config.json": '{"eos_token_id": 0}',
    "tokenizer.json": '{"model": {"type": "BPE"}}',
    "vocab.json": '{"a": 0}',
    "merges.txt": "#version: 0.2\n",
    "model.safetensors": seededBytes(weightBytes, seed),
    "onnx/model.onnx": seededBytes(1000, seed),
    "onnx/config.json": "{}",
  };
}

/** Reads the files of a directory. */
export function directoryContents(directory: string): Record<string, Buffer> {
  const names = readdirSync(directory);
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name))]));
}
