// A certified OpenID provider that gives machines JWT access tokens. A line `rotate` on stdin gives it another
// key to sign with, beside the one before; it says so with a line that is the new key's name.
import { createServer } from "node:http";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { exportJWK, generateKeyPair } from "jose";

// It warns of what does not matter here, before the first line.
console.warn = console.info = () => {};
const { Provider, errors } = await import("oidc-provider");

const [alg, secret] = process.argv.slice(2);
const keys = [];

async function addKey() {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${keys.length + 1}`;
  keys.unshift({ ...(await exportJWK(privateKey)), kid, alg, use: "sig" });
  return kid;
}

function provider(url) {
  const made = new Provider(url, {
    clients: [
      {
        client_id: "machine",
        client_secret: secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_post",
        // Else RS256, for which there may be no key.
        id_token_signed_response_alg: alg,
      },
    ],
    jwks: { keys },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1) },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_, resource) {
          if (resource !== "https://orders.example") throw new errors.InvalidTarget();
          return { scope: "orders", audience: "orders-api", accessTokenFormat: "jwt", jwt: { sign: { alg } } };
        },
      },
    },
    enabledJWA: { idTokenSigningAlgValues: [alg] },
    extraTokenClaims: () => ({ groups: ["helpdesk"] }),
    ttl: { ClientCredentials: 600 },
  });
  made.on("server_error", (_, error) => console.log(String(error.stack)));
  return made.callback();
}

let answer;
const server = createServer((request, response) => answer(request, response));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}`;
await addKey();
answer = provider(url);
console.log(JSON.stringify({ url }));

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "rotate") {
    const kid = await addKey();
    answer = provider(url);
    console.log(kid);
  }
}
