// A paged list that grows at its end.
import * as api from "./api.js";
import { useState } from "./html.js";
import { useLoaded } from "./store.js";
import { tellRefusal } from "./tidings.js";

// `{data: {items, total, hasMore}, error, reload, more, isBusy, drop}`; `path` is a list's address without `page`.
export function usePages(path) {
  const loaded = useLoaded(async () => gather([], await api.get(`${path}?page=1`)), [path]);
  const [isBusy, setBusy] = useState(false);
  const { data, setData } = loaded;
  const more = async () => {
    setBusy(true);
    try {
      setData(gather(data.items, await api.get(`${path}?page=${data.page + 1}`)));
    } catch (error) {
      tellRefusal(error);
    }
    setBusy(false);
  };
  const drop = (id) => setData({ ...data, items: data.items.filter((item) => item.id !== id), total: data.total - 1 });
  return { ...loaded, more, isBusy, drop };
}

// While somebody reads, others come in at the head and push people onto the next page, where they are met again.
function gather(items, page) {
  const known = new Set(items.map(({ id }) => id));
  const fresh = page.items.filter(({ id }) => !known.has(id));
  return { items: [...items, ...fresh], total: page.total, page: page.page, hasMore: page.has_next };
}
