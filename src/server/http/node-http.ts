// Node's tables of HTTP methods and status codes. An `import` of node:http's exports would also load Node's HTTP client with
// fetch and WebSocket, which takes longer than loading all modules of this server.
export const { METHODS, STATUS_CODES } = process.getBuiltinModule("node:http");
