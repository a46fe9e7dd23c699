// What people type or paste, in the form that all its spellings share. The server reads it the same way.

// The digits of each script stand in a row of ten.
function valueOf(digit) {
  const first = digit.codePointAt(0);
  let before = first - 1;
  while (/\p{Nd}/u.test(String.fromCodePoint(before))) before -= 1;
  return String((first - before - 1) % 10);
}

// Without invisible marks; digits of all scripts are 0 to 9, dashes "-", spaces " ".
export function simplify(text) {
  return text
    .normalize("NFKC")
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .replace(/\p{Nd}/gu, valueOf)
    .replace(/[\p{Pd}\u2212\u30fc]/gu, "-")
    .replace(/\s/gu, " ");
}

export const digitsOf = (text) => simplify(text).replace(/[^0-9]/g, "");
