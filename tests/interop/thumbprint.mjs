// Reads a JWK on stdin and prints its RFC 7638 thumbprint.
import { text } from "node:stream/consumers";
import { calculateJwkThumbprint } from "jose";

const jwk = JSON.parse(await text(process.stdin));
console.log(JSON.stringify({ thumbprint: await calculateJwkThumbprint(jwk) }));
