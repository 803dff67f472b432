// Connections during a stop: those without an open request are closed at once, the others after their last answer.
// Node waits for clients that connected and never said anything, up to the time in which headers must arrive.
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

/** `isTls`: connections count from the end of their handshake. */
export function closeQuietConnections(app: FastifyInstance, isTls: boolean): void {
  const server: Server = app.server;
  /** Open requests of every connection. */
  const open = new Map<Socket, number>();
  let isClosing = false;
  server.on(isTls ? "secureConnection" : "connection", (socket: Socket) => {
    open.set(socket, 0);
    socket.once("close", () => open.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    open.set(socket, (open.get(socket) ?? 0) + 1);
    response.once("close", () => {
      const left = (open.get(socket) ?? 1) - 1;
      if (socket.destroyed) open.delete(socket);
      else open.set(socket, left);
      if (isClosing && left === 0) socket.end();
    });
  });
  app.addHook("preClose", async () => {
    isClosing = true;
    for (const [socket, requests] of open) if (requests === 0) socket.destroy();
  });
}
