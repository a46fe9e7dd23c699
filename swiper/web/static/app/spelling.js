// Normalises what people type or paste, as the server does, so that all spellings of a text become the same.

// In Unicode, the ten digits of a script follow each other.
function valueOf(digit) {
  const first = digit.codePointAt(0);
  let before = first - 1;
  while (/\p{Nd}/u.test(String.fromCodePoint(before))) before -= 1;
  return String((first - before - 1) % 10);
}

// Removes invisible characters; digits of all scripts become 0 to 9, dashes "-", spaces " ".
export function simplify(text) {
  return text
    .normalize("NFKC")
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .replace(/\p{Nd}/gu, valueOf)
    .replace(/[\p{Pd}\u2212\u30fc]/gu, "-")
    .replace(/\s/gu, " ");
}

export const digitsOf = (text) => simplify(text).replace(/[^0-9]/g, "");
