// The hello-world, outgoing-HTTP and key-value apps of Spin's JavaScript SDK in one, as its documentation writes them. The
// SDK's package for stores only passes on what is imported here itself.

import { Store } from "fermyon:spin/key-value@2.0.0";

async function handle(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/hello":
      return new Response("Hello from JavaScript!", { headers: { "content-type": "text/plain" } });
    case "/count":
      return new Response(count(url.search.slice(1)));
    case "/keys":
      return new Response(Store.open("default").getKeys().join());
    case "/open":
      return opened(url.search.slice(1));
    case "/send":
      return await pass(decodeURIComponent(url.search.slice(1)));
    case "/fetch":
      return new Response(await told(url.searchParams));
    case "/status":
      return status(Number(url.searchParams.get("status")));
    default:
      return new Response("nothing here", { status: 404 });
  }
}

function count(name) {
  const store = Store.open("default");
  const before = store.exists(name) ? Number(new TextDecoder().decode(store.get(name))) : 0;
  store.set(name, new TextEncoder().encode(`${before + 1}`));
  return `${before + 1}`;
}

function opened(label) {
  try {
    Store.open(label);
    return new Response("opened");
  } catch (error) {
    return new Response(error.payload.tag, { status: 403 });
  }
}

async function pass(url) {
  try {
    const answer = await fetch(url);
    return new Response(await answer.text(), { status: answer.status });
  } catch (error) {
    return new Response(`${error}`, { status: 502 });
  }
}

// What was answered to a request, as every app that is asked to send one tells it.
async function told(asked) {
  try {
    const answer = await fetch(asked.get("url"), { method: asked.get("method"), body: asked.get("body") ?? undefined });
    return `${answer.status} ${await answer.text()}`;
  } catch (error) {
    return "failed";
  }
}

function status(status) {
  return new Response(status === 200 ? "a body" : null, { status });
}

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
