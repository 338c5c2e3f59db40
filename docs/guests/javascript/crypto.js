// The module `node:crypto`, as far as drivers need it to log in: hashes, and what is made of them.

import { hmac } from "@noble/hashes/hmac.js";
import { md5, sha1 } from "@noble/hashes/legacy.js";
import { pbkdf2 as derive } from "@noble/hashes/pbkdf2.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";

const HASHES = { md5, sha1, sha256, sha512 };

function hash(name) {
  const found = HASHES[(name.name ?? name).toLowerCase().replace("-", "")];
  if (!found) {
    throw new Error(`there is no hash ${name}`);
  }
  return found;
}

/** The bytes of a text, or of what is bytes already. */
function bytes(data, encoding) {
  return typeof data === "string" ? Buffer.from(data, encoding) : new Uint8Array(data.buffer ?? data, data.byteOffset, data.byteLength);
}

/** What is fed in pieces, and then read once. */
function digesting(made) {
  return {
    update(data, encoding) {
      made.update(bytes(data, encoding));
      return this;
    },
    digest(encoding) {
      const result = Buffer.from(made.digest());
      return encoding ? result.toString(encoding) : result;
    },
  };
}

export const createHash = (name) => digesting(hash(name).create());
export const createHmac = (name, key) => digesting(hmac.create(hash(name), bytes(key)));
export const randomBytes = (size) => crypto.getRandomValues(Buffer.alloc(size));
export const randomUUID = () => crypto.randomUUID();

export function pbkdf2Sync(password, salt, rounds, size, name) {
  return Buffer.from(derive(hash(name), bytes(password), bytes(salt), { c: rounds, dkLen: size }));
}

export function pbkdf2(password, salt, rounds, size, name, callback) {
  queueMicrotask(() => callback(null, pbkdf2Sync(password, salt, rounds, size, name)));
}

export function timingSafeEqual(one, other) {
  return one.length === other.length && one.reduce((differ, byte, index) => differ | (byte ^ other[index]), 0) === 0;
}

export const webcrypto = {
  getRandomValues: (array) => crypto.getRandomValues(array),
  subtle: {
    digest: async (name, data) => hash(name)(bytes(data)).slice().buffer,
    importKey: async (_format, key, algorithm) => ({ key: bytes(key), hash: algorithm.hash }),
    sign: async (_name, { key, hash: name }, data) => hmac(hash(name), key, bytes(data)).slice().buffer,
    deriveBits: async ({ salt, iterations, hash: name }, { key }, size) =>
      derive(hash(name), key, bytes(salt), { c: iterations, dkLen: size / 8 }).slice().buffer,
  },
};

export default { createHash, createHmac, pbkdf2, pbkdf2Sync, randomBytes, randomUUID, timingSafeEqual, webcrypto };
