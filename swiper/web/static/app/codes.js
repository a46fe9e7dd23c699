// Asking for a code, with the proof of work that the server may want first: nobody sees that.
import * as api from "./api.js";

// A proof serves one network; who changes it meanwhile is asked once more.
const ATTEMPTS = 3;

export async function askForCode(phone) {
  let body = { phonenum: phone };
  for (let attempt = 1; ; attempt++) {
    try {
      return await api.post("/api/user/verify", body);
    } catch (error) {
      if (error.code !== api.CODE.CHALLENGE || attempt === ATTEMPTS) throw error;
      const { solve } = await import("./proof.js");
      body = { phonenum: phone, altcha: await solve(error.data) };
    }
  }
}
