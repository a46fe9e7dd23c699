// A value that several parts of the page show. They are rendered again when it changes.
import { useEffect, useState } from "./html.js";

export class Store {
  constructor(value) {
    this.value = value;
    this.listeners = new Set();
  }

  // Objects are merged: a writer passes only the fields that change.
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
    // The value may have changed between rendering and this effect.
    setValue(store.value);
    return store.subscribe(setValue);
  }, [store]);
  return value;
}

// Loads data when the component is mounted; returns `{data, error, reload}`. `keys` are those of an effect.
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
