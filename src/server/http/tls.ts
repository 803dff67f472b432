// The certificate of HTTPS and its renewal. The files are checked whenever a connection comes in, before its handshake. An
// expired certificate is reported and still used: clients decide whether they refuse it.
import { X509Certificate } from "node:crypto";
import type { Server } from "node:http";
import { createSecureContext, type Server as TlsServer } from "node:tls";
import type { FastifyBaseLogger } from "fastify";
import { GptError, messageOf } from "../../errors.ts";
import { WatchedFile } from "../../files/watched-file.ts";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export class TlsFiles {
  readonly #certPath: string;
  readonly #cert: WatchedFile<{ readonly pem: string; readonly x509: X509Certificate }>;
  readonly #key: WatchedFile<string>;
  readonly #onProblem: (message: string) => void;
  readonly #now: () => Date;
  /** The certificate whose dates were already reported. */
  #reported: X509Certificate | undefined;

  /**
   * `onProblem` is called for files that can no longer be used, and for a certificate that is expired or not yet valid.
   * @throws GptError `invalid_config` when a file cannot be read, or the two do not belong together.
   */
  constructor(
    certPath: string,
    keyPath: string,
    onProblem: (message: string) => void,
    now: () => Date = () => new Date(),
  ) {
    this.#certPath = certPath;
    this.#onProblem = onProblem;
    this.#now = now;
    const withoutFile = "the last good content"; // Unlike a key file, a certificate gives nobody access, so it can stay in use.
    this.#cert = new WatchedFile({
      path: certPath,
      flag: "--tls-cert",
      parse: (pem) => ({ pem, x509: new X509Certificate(pem) }),
      withoutFile,
      isSecret: false,
      onProblem,
    });
    this.#key = new WatchedFile({
      path: keyPath,
      flag: "--tls-key",
      parse: (text) => text,
      withoutFile,
      isSecret: true,
      onProblem,
    });
    try {
      createSecureContext(this.read());
    } catch (cause) {
      throw new GptError(
        "invalid_config",
        `${certPath} and ${keyPath} are not a certificate and its key: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  get files(): readonly WatchedFile<unknown>[] {
    return [this.#cert, this.#key];
  }

  read(): Certificate {
    const { pem, x509 } = this.#cert.content;
    this.#checkDates(x509);
    return { cert: pem, key: this.#key.content };
  }

  #checkDates(x509: X509Certificate): void {
    const { validFrom, validTo } = x509;
    const now = this.#now();
    const isExpired = now > new Date(validTo);
    if (x509 === this.#reported || !(isExpired || now < new Date(validFrom))) return;
    this.#reported = x509;
    this.#onProblem(
      `the certificate of ${this.#certPath} ${isExpired ? `expired on ${validTo}` : `is not valid before ${validFrom}`}, ` +
        "so clients refuse it; a new one in its place is used at once",
    );
  }
}

/** Makes a server use new content of the files. If the two do not belong together, half-written for example, it is not used. */
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
