// The certificate of HTTPS and its renewal: the files are looked at when a connection comes in, before its handshake. A
// certificate whose time is over is told about and still shown: that is for clients to refuse.
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
  /** The one whose dates were told about. */
  #told: X509Certificate | undefined;

  /**
   * `onProblem` is told of files that cannot be used any more, and of a certificate that is not valid at the time.
   * @throws GptError `invalid_config` when a file cannot be read or the two do not belong together.
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
    const withoutFile = "the last good content"; // It proves who the server is, and lets nobody in.
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
        `${certPath} and ${keyPath} do not make a certificate with its key: ${messageOf(cause)}`,
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
    if (x509 === this.#told || !(isExpired || now < new Date(validFrom))) return;
    this.#told = x509;
    this.#onProblem(
      `the certificate of ${this.#certPath} ${isExpired ? `expired on ${validTo}` : `is not valid before ${validFrom}`}, ` +
        "so clients refuse it; a new one in its place is used at once",
    );
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
