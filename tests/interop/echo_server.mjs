// Answers every request with its target.
import { createServer } from "node:http";

const server = createServer((request, response) => response.end(request.url));
server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ url, pid: process.pid }));
});
