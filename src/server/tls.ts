// The certificate of HTTPS and its renewal: the files are looked at when a connection comes in, before its handshake.
import type { Server } from "node:http";
import { createSecureContext, type Server as TlsServer } from "node:tls";
import type { FastifyBaseLogger } from "fastify";
import { GptError, messageOf } from "../errors.ts";
import { WatchedFile } from "./watched-file.ts";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export class TlsFiles {
  readonly #cert: WatchedFile<string>;
  readonly #key: WatchedFile<string>;

  /** @throws GptError `invalid_config` when a file cannot be read or the two do not belong together. */
  constructor(certPath: string, keyPath: string, onProblem: (message: string) => void) {
    this.#cert = new WatchedFile(certPath, (text) => text, onProblem);
    this.#key = new WatchedFile(keyPath, (text) => text, onProblem);
    try {
      createSecureContext(this.read());
    } catch (cause) {
      throw new GptError(
        "invalid_config",
        `${certPath} and ${keyPath} do not make a certificate with its key: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  read(): Certificate {
    return { cert: this.#cert.content, key: this.#key.content };
  }
}

/** Makes a server use the files' new content; a pair that does not fit together, half-written perhaps, is left alone. */
export function renewCertificate(server: Server, files: TlsFiles, log: FastifyBaseLogger): void {
  let current = files.read();
  server.prependListener("connection", () => {
    const { cert, key } = files.read();
    if (cert === current.cert && key === current.key) return;
    current = { cert, key };
    try {
      (server as unknown as TlsServer).setSecureContext(current);
      log.info("the certificate was renewed");
    } catch (error) {
      log.error(`the new certificate cannot be used, so the old one stays: ${messageOf(error)}`);
    }
  });
}
