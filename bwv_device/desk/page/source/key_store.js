// The person's keys, in this browser alone. They can be used here and can't be exported.

const NAME = "bwv-desk", VERSION = 1;

function opened() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, VERSION);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("keys", { keyPath: "fingerprint" });
      asked.result.createObjectStore("pending", { keyPath: "id" });
      asked.result.createObjectStore("seen", { keyPath: "id" });
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

let database = null;

async function inStore(store, mode, act) {
  database ??= opened();
  const transaction = (await database).transaction(store, mode);
  const asked = act(transaction.objectStore(store));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export const all = (store) => inStore(store, "readonly", (it) => it.getAll());
export const find = (store, key) => inStore(store, "readonly", (it) => it.get(key));
export const put = (store, value) => inStore(store, "readwrite", (it) => it.put(value));
export const remove = (store, key) => inStore(store, "readwrite", (it) => it.delete(key));

/** Whether the browser promises to keep what is here. */
export async function keep() {
  if (!navigator.storage?.persist) return false;
  return (await navigator.storage.persisted()) || navigator.storage.persist();
}
