// The connections of a server: their largest number, the order of the answers on each, and the orderly stop. A request that
// comes before earlier ones on its connection are answered (pipelining) waits for its turn, so that a connection never holds
// more than one answer. What a request means is not known here.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type Socket, Server as TcpServer } from "node:net";
import type { Settings } from "../../settings.ts";
import { Exchange } from "./exchange.ts";

export type ConnectionSettings = Pick<
  Settings,
  "connectionsMax" | "connectionRequestsMax" | "answerTimeoutMs"
>;

/** In a stop: how long an idle connection stays open, because a request may already be on its way. */
const GRACE_MS = 500;
/** Some clients send an empty line behind a body. It is not a request (RFC 9112, 2.2), and none is cut in its first two bytes. */
const EMPTY_LINE_BYTES = 2;
/** How long the client may take to close its side of a connection. */
const LINGER_MS = 1000;
/** The longest interval between checks for answers that are not read. */
const SWEEP_MS_MAX = 1000;

/** A connection that is ready for HTTP. With TLS, that is after the handshake. */
class Connection {
  readonly #socket: Socket;
  /** The open requests, in the order in which they came. */
  readonly #open: Exchange[] = [];
  /** Number of requests so far. */
  #numBegun = 0;
  #isRefused = false;
  #hasEnded = false;
  /** Bytes that had been received when the last request was over. */
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

  /** No request is open, and nothing of a new one has come. */
  get isIdle(): boolean {
    return this.numOpen === 0 && this.#socket.bytesRead - this.#bytesBefore <= EMPTY_LINE_BYTES;
  }

  /** Resolves when it is the request's turn, or the connection has ended. Undefined if its turn is now. */
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

  /** Sets `connection: close` in the last open answer. */
  announceEnd(): void {
    for (const exchange of this.#open) exchange.announceEnd(exchange === this.#open.at(-1));
  }

  /** Answers what is not a valid request, after all answers before it, and ends the connection. False if it did so already. */
  refuse(answer: string): boolean {
    if (this.#isRefused) return false;
    this.#isRefused = true;
    const before = this.#open.findLast(({ request }) => request.complete);
    const refuse = (): void => {
      // Only the request whose body was broken can be left. It may be answered already.
      const [broken] = this.#open;
      this.end(broken?.response.headersSent ? undefined : answer);
      broken?.end("aborted");
    };
    if (before === undefined) refuse();
    else before.onOver(refuse);
    return true;
  }

  /** Ends the sending side, and waits a moment for the client to close. Closing at once would reset a client that still sends. */
  end(last?: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#socket.end(last ?? "");
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(timer));
  }

  /** Cuts the connection if a complete answer was not read in time. */
  cutUnread(nowMs: number, timeoutMs: number): void {
    const [first] = this.#open;
    if (first !== undefined && first.unreadFor(nowMs) > timeoutMs) this.#socket.destroy();
  }
}

export class Connections {
  readonly #server: Server;
  readonly #max: number;
  /** Most requests on one connection. */
  readonly #requestsMax: number;
  /** All TCP connections, whatever protocol is on them. */
  readonly #sockets = new Set<Socket>();
  /** Connections in their TLS handshake, by the client's address and port. */
  readonly #handshakes = new Map<string, Socket>();
  readonly #connections = new Map<Socket, Connection>();
  readonly #others: TcpServer[] = [];
  readonly #onLastClosed: (() => void)[] = [];
  #numElsewhere = 0;
  readonly #refused = { full: 0, handshake: 0, malformed: 0 };
  #isLeaving = false;
  #isStopping = false;

  /** `isTls`: HTTP begins after a TLS handshake. */
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
   * Open connections and requests, and the connections that were refused: because there were too many, in their handshake,
   * or for broken HTTP.
   */
  get stats() {
    const requests = [...this.#connections.values()].reduce((sum, { numOpen }) => sum + numOpen, 0);
    return { open: this.#sockets.size, requests, refused: { ...this.#refused } };
  }

  /** A stop was announced. Health checks fail, so that load balancers use other servers. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** A stop will also close this server, which passes its connections to `accept`. */
  closeWith(server: TcpServer): void {
    if (this.#isStopping) server.close();
    else this.#others.push(server);
  }

  /** Takes a connection that another server accepted. */
  accept(socket: Socket): void {
    if (this.#sockets.size >= this.#max || this.#isStopping) {
      this.#refused.full++;
      socket.destroy();
      return;
    }
    // To Node, 0 means that there is no limit.
    const share = (): number => Math.max(1, this.#max - this.#numElsewhere);
    this.#numElsewhere++;
    this.#server.maxConnections = share();
    socket.once("close", () => {
      this.#numElsewhere--;
      this.#server.maxConnections = share();
    });
    this.#server.emit("connection", socket);
  }

  /** Call it with the head of each request. `turn` resolves when the requests before it are answered. */
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

  /** Whether a connection must end after its last open answer. */
  #isEnding({ numBegun }: Connection): boolean {
    return this.#isLeaving || numBegun >= this.#requestsMax;
  }

  /** Sends a last answer and ends the connection. Without an answer, or before the TLS handshake is over, it is only closed. */
  refuse(socket: Socket, answer: string | undefined): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) this.#refused.handshake++;
    if (connection === undefined || answer === undefined || !socket.writable) socket.destroy();
    else if (connection.refuse(answer)) this.#refused.malformed++;
  }

  /** Announces a stop. From now on every connection ends after its next answer. New connections are still accepted. */
  leave(): void {
    this.#isLeaving = true;
    for (const connection of this.#connections.values()) connection.announceEnd();
  }

  /**
   * Accepts no more connections, answers what is open or on its way, and ends each connection after its last answer.
   * Resolves when all are closed, however long that takes.
   */
  async stop(): Promise<void> {
    this.leave();
    this.#isStopping = true;
    // The `close` of node:http would destroy idle connections, and would no longer check the timeouts of unfinished requests.
    TcpServer.prototype.close.call(this.#server);
    for (const server of this.#others) server.close();
    const timer = setTimeout(() => this.#endIdle(), GRACE_MS);
    if (this.#sockets.size > 0) await new Promise<void>((resolve) => this.#onLastClosed.push(resolve));
    clearTimeout(timer);
  }

  /** In a stop, after GRACE_MS: requests that were sent before the stop have arrived, so idle connections can be ended. */
  #endIdle(): void {
    for (const socket of this.#handshakes.values()) socket.destroy();
    for (const connection of this.#connections.values()) if (connection.isIdle) connection.end();
  }

  /** Cuts all connections at once. */
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
