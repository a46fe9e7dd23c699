// A proof of work (ALTCHA, version 2): find the counter whose SHA-256 has the prefix of the challenge. SHA-256 is
// implemented here: pages without TLS have no crypto.subtle, and one call of it for each counter would be slower.

const SLICE_MS = 24;
const LAST = 0x100000000;
const K = roundConstants();

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4).
function roundConstants() {
  const found = [];
  for (let number = 2; found.length < 64; number++) {
    if (found.every((prime) => number % prime)) found.push(number);
  }
  return Int32Array.from(found, (prime) => (Math.cbrt(prime) % 1) * LAST);
}

const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const turn = (word, by) => (word >>> by) | (word << (32 - by));

// Writes into `derived` the SHA-256 of one block, the first 16 of the 64 `words`.
function digest(words, derived) {
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15];
    const y = words[i - 2];
    const low = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    words[i] = words[i - 16] + low + words[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = START;
  for (let i = 0; i < 64; i++) {
    const mixed = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
    const added = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + mixed) | 0;
    d = c;
    c = b;
    b = a;
    a = (mixed + added) | 0;
  }
  derived.set([a + START[0], b + START[1], c + START[2], d + START[3], e + START[4], f + START[5], g + START[6], h + START[7]]);
}

const hexOf = (words) => Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
const wordsOf = (hex) => hex.match(/.{8}/g).map((word) => Number.parseInt(word, 16) | 0);
const pause = () => new Promise((resolve) => setTimeout(resolve));

// The value of `altcha`. It is computed in slices, so that the page stays responsive.
export async function solve(challenge) {
  const { salt, nonce, keyPrefix } = challenge.parameters;
  const words = new Int32Array(64);
  const derived = new Int32Array(8);
  words.set([...wordsOf(salt), ...wordsOf(nonce)]);
  // After the 36 bytes: the end mark and their length in bits.
  [words[9], words[15]] = [0x80000000, 36 * 8];
  const [wanted] = wordsOf(keyPrefix);
  let sliceEnd = performance.now() + SLICE_MS;
  for (let counter = 0; counter < LAST; counter++) {
    words[8] = counter;
    digest(words, derived);
    if ((counter & 255) === 0 && performance.now() > sliceEnd) {
      await pause();
      sliceEnd = performance.now() + SLICE_MS;
    }
    if (derived[0] !== wanted) continue;
    const derivedKey = hexOf(derived);
    if (derivedKey.startsWith(keyPrefix)) return btoa(JSON.stringify({ challenge, solution: { counter, derivedKey } }));
  }
  throw new Error("no counter fits");
}
