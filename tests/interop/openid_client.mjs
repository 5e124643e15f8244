// Everything that openid-client does with an authorization server of its kind, in one life of a client.
import * as oauth from "openid-client";
import { readFileSync } from "node:fs";

const { issuer, id, secret, way, bound, resource, tokens } = JSON.parse(readFileSync(0, "utf8"));
const ways = {
  basic: () => oauth.ClientSecretBasic(secret),
  post: () => oauth.ClientSecretPost(secret),
  none: () => oauth.None(),
  default: () => undefined,
};
const config = await oauth.discovery(new URL(issuer), id, secret, ways[way](), {
  algorithm: "oauth2",
  execute: [oauth.allowInsecureRequests],
});
const options = bound
  ? { DPoP: oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair("ES256")) }
  : undefined;

async function asked(token) {
  try {
    const answer = await oauth.fetchProtectedResource(
      config, token, new URL(resource), "GET", null, undefined, options,
    );
    return answer.status;
  } catch (error) {
    // A challenge is an exception here.
    return error.status ?? String(error);
  }
}

async function refusal(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return error.error ?? error.code ?? String(error);
  }
}

const said = { metadata: config.serverMetadata() };
const granted = tokens
  ? await oauth.refreshTokenGrant(config, tokens.refresh_token, undefined, options)
  : await oauth.clientCredentialsGrant(config, { scope: "things:read" }, options);
said.granted = { type: granted.token_type, scope: granted.scope, lives: granted.expiresIn() };
said.used = await asked(granted.access_token);
if (!tokens) {
  said.worth = await oauth.tokenIntrospection(config, granted.access_token);
}
const last = granted.refresh_token ?? granted.access_token;
await oauth.tokenRevocation(config, last);
said.afterwards = await asked(granted.access_token);
if (tokens) {
  said.refreshed = await refusal(() => oauth.refreshTokenGrant(config, last, undefined, options));
} else {
  said.worthAfterwards = await oauth.tokenIntrospection(config, granted.access_token);
  said.tooMuch = await refusal(() => oauth.clientCredentialsGrant(config, { scope: "no:such" }, options));
}
console.log(JSON.stringify(said));
