// Hostile callers, one function for each kind. Each runs until its signal is aborted, and ignores what the server answers. Some have a
// key, like a customer's broken program; most have none.
// @ts-check
import { setMaxListeners } from "node:events";
import { connect as connectTcp } from "node:net";
import { setPriority } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { randomFrom } from "../../bench/support/server-under-test.js";
import { ENDPOINT, keyOf, signerFor } from "./target.js";

const INVOKE = `/endpoints/${ENDPOINT}/invocations`;
const STREAM = `/endpoints/${ENDPOINT}/invocations-response-stream`;
const MIB = 2 ** 20;

/** @typedef {Pick<import("./target.js").Target, "isTls" | "port" | "settings" | "sign">} Target */
/** @typedef {{ target: Target, signal: AbortSignal, random: ReturnType<typeof randomFrom> }} Attack */

/**
 * A connection whose opening is not awaited and whose errors are ignored.
 * @param {Attack} attack
 * @param {{ handshake?: boolean }} [options] false: a TLS server hears nothing on it
 */
function open({ target, signal }, { handshake = true } = {}) {
  const { port } = target;
  const socket =
    target.isTls && handshake
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connectTcp(port, "127.0.0.1");
  socket.on("error", () => {});
  const end = () => socket.destroy();
  signal.addEventListener("abort", end, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", end));
  return socket;
}

/** @param {import("node:net").Socket} socket */
const closed = (socket) =>
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once("close", resolve));

/**
 * The bytes of a signed request.
 * @param {Target} target
 * @param {string} path
 * @param {string} body
 * @param {string} name of the key
 */
function signed(target, path, body, name) {
  const headers = { host: `127.0.0.1:${target.port}`, ...target.sign(path, body, keyOf(name)) };
  const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/**
 * Sends a request and reads what comes, until the server closes or `ms` are over.
 * @param {Attack} attack
 * @param {string | Uint8Array} bytes
 * @param {number} ms
 */
async function exchange(attack, bytes, ms) {
  const socket = open(attack);
  socket.resume();
  socket.write(bytes);
  await Promise.race([closed(socket), pause(ms, undefined, { signal: attack.signal }).catch(() => {})]);
  socket.destroy();
}

/** @type {Record<string, { callers: number, run: (attack: Attack, number: number) => Promise<void> }>} */
export const ATTACKS = {
  "wide requests of 64 sequences": {
    callers: 2,
    run: async (attack, number) => {
      const body = JSON.stringify({ input: `Wide ${number}`, max_length: 200, num_return_sequences: 64 });
      await exchange(attack, signed(attack.target, INVOKE, body, "hostile"), 20_000);
    },
  },
  "long prompts and wide beams": {
    callers: 2,
    run: async (attack) => {
      const words = Array.from({ length: 200 }, () => attack.random.pick(["sea", "ship", "man", "night"]));
      const body = JSON.stringify({ input: words.join(" "), max_length: 256, mode: "beam", num_beams: 32 });
      await exchange(attack, signed(attack.target, INVOKE, body, "hostile"), 20_000);
    },
  },
  "three hundred requests of one key at once": {
    callers: 1,
    run: async (attack) => {
      const body = JSON.stringify({ input: "Flood", max_length: 100 });
      const bytes = signed(attack.target, INVOKE, body, "flood");
      await Promise.all(Array.from({ length: 300 }, () => exchange(attack, bytes, 3000)));
    },
  },
  "more connections than there are places": {
    callers: 1,
    run: async (attack) => {
      const sockets = Array.from({ length: Number(attack.target.settings["connections-max"]) + 50 }, () =>
        open(attack),
      );
      await pause(2000, undefined, { signal: attack.signal }).catch(() => {});
      for (const socket of sockets) socket.destroy();
      await pause(5000, undefined, { signal: attack.signal }).catch(() => {});
    },
  },
  "connections that never speak": {
    callers: 150,
    run: async (attack) => closed(open(attack, { handshake: attack.random.below(2) === 0 })).then(() => {}),
  },
  "bytes one by one": {
    callers: 50,
    run: async (attack) => {
      const socket = open(attack);
      const text = attack.random.pick([
        `POST ${INVOKE} HTTP/1.1\r\nhost: a\r\nx-slow: ${"y".repeat(5000)}`,
        signed(attack.target, INVOKE, " ".repeat(5000), "hostile"),
      ]);
      for (let i = 0; i < text.length && !socket.destroyed && !attack.signal.aborted; i += 40) {
        socket.write(text.slice(i, i + 40));
        await pause(500, undefined, { signal: attack.signal }).catch(() => {});
      }
      socket.destroy();
    },
  },
  "large bodies without a key": {
    callers: 30,
    run: async (attack) => {
      const head = `POST ${INVOKE} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${6 * MIB}\r\n\r\n`;
      const socket = open(attack);
      socket.resume();
      socket.write(head);
      for (let sent = 0; sent < 6 * MIB && !socket.destroyed && !attack.signal.aborted; sent += 65_536) {
        if (!socket.write(Buffer.alloc(65_536, 0x20))) await pause(5);
      }
      await Promise.race([closed(socket), pause(3000, undefined, { signal: attack.signal }).catch(() => {})]);
      socket.destroy();
    },
  },
  "bodies that stop half-way, with a key": {
    callers: 20,
    run: async (attack) => {
      const whole = signed(attack.target, INVOKE, JSON.stringify({ input: "x".repeat(4 * MIB) }), "hostile");
      const socket = open(attack);
      socket.write(whole.slice(0, whole.length / 2));
      await Promise.race([closed(socket), pause(8000, undefined, { signal: attack.signal }).catch(() => {})]);
      socket.destroy();
    },
  },
  "pipelined requests of a caller that leaves": {
    callers: 4,
    run: async (attack) => {
      const body = JSON.stringify({ input: "Pipe", max_length: 200, num_return_sequences: 8 });
      await exchange(
        attack,
        signed(attack.target, INVOKE, body, "pipe").repeat(6),
        50 + attack.random.below(200),
      );
    },
  },
  "streams that nobody reads": {
    callers: 20,
    run: async (attack) => {
      const body = JSON.stringify({ input: "Unread", max_length: 250, num_return_sequences: 16 });
      const socket = open(attack);
      socket.pause();
      socket.write(signed(attack.target, STREAM, body, "unread"));
      await Promise.race([
        closed(socket),
        pause(10_000, undefined, { signal: attack.signal }).catch(() => {}),
      ]);
      socket.destroy();
    },
  },
  "the largest body that there is, signed": {
    callers: 1,
    run: async (attack) => {
      const input = attack.random.pick([" ", "a", "é", "word "]).repeat(1.4 * MIB);
      await exchange(attack, signed(attack.target, INVOKE, JSON.stringify({ input }), "hostile"), 5000);
      await pause(1000, undefined, { signal: attack.signal }).catch(() => {});
    },
  },
  "bytes of no protocol": {
    callers: 5,
    run: async (attack) => {
      const { random } = attack;
      const bytes = random.pick([
        Buffer.from(Array.from({ length: 1 + random.below(2000) }, () => random.below(256))),
        `GET http://example.com${INVOKE} HTTP/1.1\r\n\r\n`,
        signed(attack.target, INVOKE, '{"input":"Absolute","max_length":30}', "hostile").replace(
          "POST /",
          `POST http://127.0.0.1:${attack.target.port}/`,
        ),
        `POST ${INVOKE} HTTP/1.1\r\nhost: a\r\n${"x: y\r\n".repeat(5000)}\r\n`,
        `POST ${INVOKE} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n`,
        signed(attack.target, INVOKE, "[".repeat(100_000), "hostile"),
      ]);
      await exchange(attack, bytes, 500);
    },
  },
  "callers that leave at any moment": {
    callers: 4,
    run: async (attack) => {
      const body = JSON.stringify({ input: "Leave", max_length: 150, num_return_sequences: 4 });
      const path = attack.random.pick([INVOKE, STREAM]);
      await exchange(attack, signed(attack.target, path, body, "leaver"), attack.random.below(300));
    },
  },
};

/** The callers whose keys the server knows. */
export const HOSTILE_KEYS = ["hostile", "flood", "pipe", "unread", "leaver"];

/**
 * Starts all kinds at once, in a thread of their own.
 * @param {Target} target
 * @param {number} seed
 */
export function startAttack({ isTls, port, settings }, seed) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { isTls, port, settings, seed } });
  const ended = new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  ended.catch(() => {}); // Until somebody waits for it.
  return {
    /**
     * Resolves with how often each kind was done.
     * @returns {Promise<Record<string, number>>}
     */
    async stop() {
      worker.postMessage("stop");
      const late = pause(STOP_TIMEOUT_MS, "late", { ref: false });
      const rounds = await Promise.race([ended, late]);
      await worker.terminate();
      if (rounds === "late") throw new Error("The hostile callers did not end.");
      return rounds;
    },
  };
}

const STOP_TIMEOUT_MS = 20_000;
/** Hostile callers share the machine with the server here, so they get a lower priority than the server's threads. */
const NICENESS = 19;

/** Runs all kinds at once until the main thread ends them. */
async function attackAtOnce() {
  // On Linux this is the niceness of this thread alone.
  if (process.platform === "linux") setPriority(0, NICENESS);
  const { isTls, port, settings, seed } = workerData;
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  parentPort?.once("message", () => over.abort());
  const { signal } = over;
  const target = { isTls, port, settings, sign: signerFor(isTls, port) };
  /** @type {Record<string, number>} */
  const rounds = {};
  const actors = Object.entries(ATTACKS).flatMap(([name, { callers, run }], kind) =>
    Array.from({ length: callers }, async (_, number) => {
      const random = randomFrom(seed + 1000 * kind + number);
      while (!signal.aborted) {
        await run({ target, signal, random }, number).catch(() => {});
        rounds[name] = (rounds[name] ?? 0) + 1;
        await pause(10 + random.below(50), undefined, { signal }).catch(() => {});
      }
    }),
  );
  await Promise.all(actors);
  parentPort?.postMessage(rounds);
}

if (!isMainThread) await attackAtOnce();
