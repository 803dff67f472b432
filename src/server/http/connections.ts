// The connections of a server: how many there may be, in which order the requests of one are answered, and the orderly
// stop. Requests that come on a connection before the earlier ones are answered (pipelining) wait for their turn, so that a
// connection never holds more than one answer. What a request means is no business of this file.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type Socket, Server as TcpServer } from "node:net";
import type { Settings } from "../../settings.ts";
import { Exchange } from "./exchange.ts";

export type ConnectionSettings = Pick<
  Settings,
  "connectionsMax" | "connectionRequestsMax" | "answerTimeoutMs"
>;

/** In a stop: how long a request may still be under way on an idle connection. */
const GRACE_MS = 500;
/** How long the other side may take to close a connection that was ended. */
const LINGER_MS = 1000;
/** How often answers are looked for that are not read. */
const SWEEP_MS_MAX = 1000;

/** A connection on which HTTP is spoken: with TLS, after the handshake. */
class Connection {
  readonly #socket: Socket;
  /** In the order in which they came. */
  readonly #open: Exchange[] = [];
  /** Requests so far. */
  #numBegun = 0;
  #isRefused = false;
  #hasEnded = false;
  /** What had been received when the last request was over. */
  #bytesBefore: number;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#bytesBefore = socket.bytesRead;
    socket.once("close", () => {
      for (const exchange of [...this.#open]) exchange.end("aborted");
    });
  }

  get numOpen(): number {
    return this.#open.length;
  }

  get numBegun(): number {
    return this.#numBegun;
  }

  /** Nothing is open, and no request has begun to come in. */
  get isIdle(): boolean {
    return this.numOpen === 0 && this.#socket.bytesRead === this.#bytesBefore;
  }

  /** Resolves when it is the request's turn, or the connection has ended; undefined: it is now. */
  begin(exchange: Exchange): Promise<void> | undefined {
    const before = this.#open.at(-1);
    this.#numBegun++;
    this.#open.push(exchange);
    exchange.onOver(() => {
      this.#open.splice(this.#open.indexOf(exchange), 1);
      this.#bytesBefore = this.#socket.bytesRead;
    });
    return before && new Promise((resolve) => before.onOver(() => resolve()));
  }

  /** Says in the last open answer that the connection ends with it. */
  announceEnd(): void {
    for (const exchange of this.#open) exchange.announceEnd(exchange === this.#open.at(-1));
  }

  /** Sends a last answer, to what is no request, after the answers to the requests before it; false: it did so already. */
  refuse(answer: string): boolean {
    if (this.#isRefused) return false;
    this.#isRefused = true;
    const before = this.#open.findLast(({ request }) => request.complete);
    const refuse = (): void => {
      // Left is only the request that broke in its body; it may be answered already.
      const [broken] = this.#open;
      this.end(broken?.response.headersSent ? undefined : answer);
      broken?.end("aborted");
    };
    if (before === undefined) refuse();
    else before.onOver(refuse);
    return true;
  }

  /** Sends nothing more, and waits a moment for the other side to close: a client that still sends would be reset. */
  end(last?: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#socket.end(last ?? "");
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(timer));
  }

  /** Cuts the connection when a complete answer has not left in time. */
  cutUnread(nowMs: number, timeoutMs: number): void {
    const [first] = this.#open;
    if (first !== undefined && first.unreadFor(nowMs) > timeoutMs) this.#socket.destroy();
  }
}

export class Connections {
  readonly #server: Server;
  readonly #max: number;
  /** Requests of one connection. */
  readonly #requestsMax: number;
  /** Of TCP, whatever is spoken on them. */
  readonly #sockets = new Set<Socket>();
  /** Those of TLS whose handshake is not over, by the address of the other side. */
  readonly #handshakes = new Map<string, Socket>();
  readonly #connections = new Map<Socket, Connection>();
  readonly #others: TcpServer[] = [];
  readonly #onLastClosed: (() => void)[] = [];
  #numElsewhere = 0;
  readonly #refused = { full: 0, handshake: 0, malformed: 0 };
  #isLeaving = false;
  #isStopping = false;

  /** `isTls`: HTTP is spoken after a handshake. */
  constructor(server: Server, settings: ConnectionSettings, isTls: boolean) {
    const { connectionsMax, connectionRequestsMax, answerTimeoutMs } = settings;
    this.#server = server;
    this.#max = connectionsMax;
    this.#requestsMax = connectionRequestsMax || Number.POSITIVE_INFINITY;
    server.maxConnections = connectionsMax;
    server.on("drop", () => this.#refused.full++);
    server.prependListener("connection", (socket: Socket) => {
      this.#watch(socket);
      if (isTls) this.#awaitHandshake(socket);
      else this.#connections.set(socket, new Connection(socket));
    });
    server.prependListener("secureConnection", (socket: Socket) => {
      this.#handshakes.delete(otherSide(socket));
      this.#connections.set(socket, new Connection(socket));
      socket.once("close", () => this.#connections.delete(socket));
    });
    const sweep = (): void => {
      for (const connection of this.#connections.values())
        connection.cutUnread(performance.now(), answerTimeoutMs);
    };
    const timer = setInterval(sweep, Math.min(SWEEP_MS_MAX, answerTimeoutMs / 4)).unref();
    server.once("close", () => clearInterval(timer));
  }

  /**
   * Connections and requests that are open, and connections that ended without a request: because there were too many, in
   * their handshake, or over broken HTTP.
   */
  get stats() {
    const requests = [...this.#connections.values()].reduce((sum, { numOpen }) => sum + numOpen, 0);
    return { open: this.#sockets.size, requests, refused: { ...this.#refused } };
  }

  /** A stop was announced: who asks after the server's health is to go elsewhere. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Has a stop close another server too, one that hands its connections to `accept`. */
  closeWith(server: TcpServer): void {
    if (this.#isStopping) server.close();
    else this.#others.push(server);
  }

  /** Takes a connection that came in through another server. */
  accept(socket: Socket): void {
    if (this.#sockets.size >= this.#max || this.#isStopping) {
      this.#refused.full++;
      socket.destroy();
      return;
    }
    // 0 would mean any number.
    const share = (): number => Math.max(1, this.#max - this.#numElsewhere);
    this.#numElsewhere++;
    this.#server.maxConnections = share();
    socket.once("close", () => {
      this.#numElsewhere--;
      this.#server.maxConnections = share();
    });
    this.#server.emit("connection", socket);
  }

  /** To be called with the head of a request; `turn` resolves when the requests before it are answered. */
  begin(request: IncomingMessage, response: ServerResponse) {
    const exchange = new Exchange(request, response);
    const connection = this.#connections.get(request.socket);
    const turn = connection?.begin(exchange);
    if (connection !== undefined) {
      if (this.#isEnding(connection)) connection.announceEnd();
      exchange.onOver(() => {
        if (this.#isEnding(connection) && connection.numOpen === 0) connection.end();
      });
    }
    return { exchange, turn };
  }

  /** Whether a connection ends with its last open answer. */
  #isEnding({ numBegun }: Connection): boolean {
    return this.#isLeaving || numBegun >= this.#requestsMax;
  }

  /** Sends a last answer on a connection; without one, or where no HTTP is spoken yet, it is only closed. */
  refuse(socket: Socket, answer: string | undefined): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) this.#refused.handshake++;
    if (connection === undefined || answer === undefined || !socket.writable) socket.destroy();
    else if (connection.refuse(answer)) this.#refused.malformed++;
  }

  /** Announces a stop: from now on every connection ends with its answer. Further ones are still taken. */
  leave(): void {
    this.#isLeaving = true;
    for (const connection of this.#connections.values()) connection.announceEnd();
  }

  /**
   * Takes no further connection, answers what is open or still comes, and ends each connection after its last answer.
   * Resolves when all are closed, however long that takes.
   */
  async stop(): Promise<void> {
    this.leave();
    this.#isStopping = true;
    // That of node:http would destroy idle connections, and take no notice of requests any more that do not arrive.
    TcpServer.prototype.close.call(this.#server);
    for (const server of this.#others) server.close();
    const timer = setTimeout(() => this.#endIdle(), GRACE_MS);
    if (this.#sockets.size > 0) await new Promise<void>((resolve) => this.#onLastClosed.push(resolve));
    clearTimeout(timer);
  }

  /** In a stop: by now no request can be under way that was sent before its client could know of the stop. */
  #endIdle(): void {
    for (const socket of this.#handshakes.values()) socket.destroy();
    for (const connection of this.#connections.values()) if (connection.isIdle) connection.end();
  }

  /** Ends all connections now. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#connections.delete(socket);
      if (this.#sockets.size === 0) for (const resolve of this.#onLastClosed.splice(0)) resolve();
    });
  }

  #awaitHandshake(socket: Socket): void {
    const key = otherSide(socket);
    this.#handshakes.set(key, socket);
    socket.once("close", () => {
      if (this.#handshakes.get(key) === socket) this.#handshakes.delete(key);
    });
  }
}

function otherSide({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
