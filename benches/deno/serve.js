// A hello, or with `?URL` what is fetched from there, for `deno serve`.

export default {
  async fetch(request) {
    const upstream = decodeURIComponent(new URL(request.url).search.slice(1));
    if (!upstream) return new Response("Hello\n");
    return new Response(await (await fetch(upstream)).text());
  },
};
