// The hello-world and outgoing-HTTP apps of Spin's JavaScript SDK in one, as its documentation writes them.

async function handle(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/hello":
      return new Response("Hello from JavaScript!", { headers: { "content-type": "text/plain" } });
    case "/send":
      return await pass(decodeURIComponent(url.search.slice(1)));
    default:
      return new Response("nothing here", { status: 404 });
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

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
