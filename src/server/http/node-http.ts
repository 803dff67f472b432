// Node's tables of HTTP methods and status codes. An import statement would have Node load its HTTP client too, fetch and
// web sockets included, which takes longer than all modules of this server together.
export const { METHODS, STATUS_CODES } = process.getBuiltinModule("node:http");
