// Verifies an assertion as a service behind the gateway does: reads the token on stdin, prints what it says.
import { text } from "node:stream/consumers";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [keys, issuer, audience] = process.argv.slice(2);
const token = (await text(process.stdin)).trim();
const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(keys)), {
  issuer,
  audience,
  algorithms: ["ES256"],
  typ: "gw-assertion+jwt",
  requiredClaims: ["sub", "exp", "iat"],
  maxTokenAge: "60s",
});
console.log(JSON.stringify({ payload, header: protectedHeader }));
