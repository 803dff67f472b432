// A keep-alive HTTP connection on a raw socket, for one request after the other. It sends prepared bytes, and reads only status
// and length of an answer. A full client would cost more processor time than the server that it measures.
// @ts-check
import { once } from "node:events";
import { connect } from "node:net";

export class Connection {
  /** @type {import("node:net").Socket} */
  #socket;
  /** Received text that is not read yet. */
  #received = "";
  /** @type {{ resolve: (status: number) => void, reject: (error: Error) => void } | undefined} */
  #waiting;

  /** @param {import("node:net").Socket} socket connected */
  constructor(socket) {
    this.#socket = socket;
    // Latin-1 has one character for each byte, so lengths are in bytes.
    socket.setEncoding("latin1").setNoDelay();
    socket.on("data", (/** @type {unknown} */ text) => {
      this.#received += text;
      this.#take();
    });
    socket.on("close", () => this.#waiting?.reject(new Error("The server closed a connection")));
    socket.on("error", () => {}); // "close" follows and rejects.
  }

  /** @param {number} port */
  static async open(port) {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Connection(socket);
  }

  /**
   * Sends a whole request and resolves with the status of its answer.
   * @param {Uint8Array} request
   * @returns {Promise<number>}
   */
  send(request) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  #take() {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [, status = "0", length = "0"] =
      /^HTTP\/1\.1 (\d{3}).*?\r\ncontent-length: (\d+)\r\n/is.exec(this.#received) ?? [];
    if (this.#received.length < end + 4 + Number(length)) return;
    this.#received = this.#received.slice(end + 4 + Number(length));
    this.#waiting?.resolve(Number(status));
  }

  close() {
    this.#socket.destroy();
  }
}
