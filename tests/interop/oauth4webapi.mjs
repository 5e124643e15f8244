// oauth4webapi as a client, and as a resource server that validates access tokens by RFC 9068 and RFC 9449.
import * as oauth from "oauth4webapi";
import { readFileSync } from "node:fs";

const { issuer, id, secret, bound, resource, tokens } = JSON.parse(readFileSync(0, "utf8"));
const insecure = { [oauth.allowInsecureRequests]: true };
const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url,
  await oauth.discoveryRequest(url, { algorithm: "oauth2", ...insecure }),
);
const described = await oauth.processResourceDiscoveryResponse(
  url,
  await oauth.resourceDiscoveryRequest(url, insecure),
);
const client = { client_id: id };
const authentication = oauth.ClientSecretBasic(secret);
const key = bound ? await oauth.generateKeyPair("ES256") : undefined;
const proof = () => (key ? { DPoP: oauth.DPoP(client, key) } : {});

const granted = await oauth.processClientCredentialsResponse(
  server,
  client,
  await oauth.clientCredentialsGrantRequest(
    server, client, authentication, { resource: issuer }, { ...insecure, ...proof() },
  ),
);

// The request as it reaches a resource server, and what that makes of it.
let presented;
const used = await oauth.protectedResourceRequest(
  granted.access_token, "GET", new URL(resource), undefined, null,
  {
    ...insecure,
    ...proof(),
    [oauth.customFetch]: (address, options) => {
      presented = new Request(address, { method: options.method, headers: options.headers });
      return fetch(address, options);
    },
  },
);
const ofClient = await oauth.validateJwtAccessToken(server, presented, issuer, insecure);
const ofUser = await oauth.validateJwtAccessToken(
  server,
  new Request(resource, { headers: { authorization: `Bearer ${tokens.access_token}` } }),
  issuer,
  insecure,
);
const revoked = await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authentication, granted.access_token, insecure),
);
const worth = await oauth.processIntrospectionResponse(
  server,
  client,
  await oauth.introspectionRequest(server, client, authentication, granted.access_token, insecure),
);
console.log(
  JSON.stringify({ described, type: granted.token_type, used: used.status, ofClient, ofUser, revoked, worth }),
);
