// An app of Spin's JavaScript SDK 2, with what its template puts around a handler.

import { ResponseBuilder } from "@fermyon/spin-sdk/lib/inboundHttp.js";

async function handler(request, response) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/fetch":
      return response.send(await told(url.searchParams));
    case "/status": {
      const status = Number(url.searchParams.get("status"));
      return response.status(status).send(status === 200 ? "a body" : undefined);
    }
    default:
      return response.status(404).send("nothing here");
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

addEventListener("fetch", (event) => {
  const answered = new Promise((resolve, reject) => {
    handler(event.request, new ResponseBuilder(resolve)).catch(reject);
  });
  event.respondWith(answered);
});
