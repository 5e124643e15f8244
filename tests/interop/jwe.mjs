// Opens and writes encrypted messages with jose. Reads {"open": [{jwe, jwk}], "seal": [{text, jwk, header}]} on
// stdin, prints {"opened": [{text, header}], "sealed": [jwe]}.
import { text } from "node:stream/consumers";
import { CompactEncrypt, compactDecrypt, importJWK } from "jose";

const asked = JSON.parse(await text(process.stdin));
const key = (jwk) => importJWK(jwk, jwk.kty === "oct" ? "dir" : "ECDH-ES");

const opened = [];
for (const { jwe, jwk } of asked.open) {
  const { plaintext, protectedHeader } = await compactDecrypt(jwe, await key(jwk), {
    keyManagementAlgorithms: ["dir", "ECDH-ES"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  opened.push({ text: new TextDecoder().decode(plaintext), header: protectedHeader });
}

const sealed = [];
for (const { text: plain, jwk, header } of asked.seal) {
  const message = new CompactEncrypt(new TextEncoder().encode(plain)).setProtectedHeader(header);
  sealed.push(await message.encrypt(await key(jwk)));
}
console.log(JSON.stringify({ opened, sealed }));
