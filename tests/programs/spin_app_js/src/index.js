// The hello-world and outgoing-HTTP apps of Spin's JavaScript SDK in one, as its documentation writes them.

async function handle(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/hello":
      return new Response("Hello from JavaScript!", { headers: { "content-type": "text/plain" } });
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
