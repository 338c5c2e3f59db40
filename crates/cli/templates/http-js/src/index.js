// Answers HTTP requests.

async function handle(request) {
  const { pathname } = new URL(request.url);
  return new Response(`Hello from JavaScript! You asked for ${pathname}\n`, {
    headers: { "content-type": "text/plain" },
  });
}

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
