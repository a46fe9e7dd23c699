// Requests a code. The server may ask for a proof of work first, which happens without a notice.
import * as api from "./api.js";

// A proof is valid for one network. After a change of the network the server asks for another one.
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
