// One value that several parts of the page look at.
import { useEffect, useState } from "./html.js";

export class Store {
  constructor(value) {
    this.value = value;
    this.listeners = new Set();
  }

  // Objects are merged, so that each writer names only what it changes.
  set(change) {
    const isObject = change !== null && typeof change === "object" && !Array.isArray(change);
    this.value = isObject ? { ...this.value, ...change } : change;
    for (const listener of [...this.listeners]) listener(this.value);
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function useStore(store) {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    // It may have changed between rendering and now.
    setValue(store.value);
    return store.subscribe(setValue);
  }, [store]);
  return value;
}

// Loads something when the component appears: `{data, error, reload}`; `keys` as for an effect.
export function useLoaded(load, keys = []) {
  const [state, setState] = useState({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    setState((old) => ({ data: old.data }));
    load().then(
      (data) => isCurrent && setState({ data }),
      (error) => isCurrent && setState({ error }),
    );
    return () => {
      isCurrent = false;
    };
  }, [...keys, turn]);
  return { ...state, setData: (data) => setState({ data }), reload: () => setTurn(turn + 1) };
}
