// A paged list that loads further pages at its end.
import * as api from "./api.js";
import { useState } from "./html.js";
import { useLoaded } from "./store.js";
import { showError } from "./notices.js";

// `{data: {items, total, hasMore}, error, reload, more, isBusy, drop}`; `path` is the URL of the list without `page`.
export function usePages(path) {
  const loaded = useLoaded(async () => addPage([], await api.get(`${path}?page=1`)), [path]);
  const [isBusy, setBusy] = useState(false);
  const { data, setData } = loaded;
  const more = async () => {
    setBusy(true);
    try {
      setData(addPage(data.items, await api.get(`${path}?page=${data.page + 1}`)));
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  const drop = (id) => setData({ ...data, items: data.items.filter((item) => item.id !== id), total: data.total - 1 });
  return { ...loaded, more, isBusy, drop };
}

// New people at the start of the list move others to the next page, which then has some of the shown people again.
function addPage(items, page) {
  const known = new Set(items.map(({ id }) => id));
  const fresh = page.items.filter(({ id }) => !known.has(id));
  return { items: [...items, ...fresh], total: page.total, page: page.page, hasMore: page.has_next };
}
