// The statements of the guest `script-guest` that are measured, for Deno.

const CHUNK = 64 * 1024;
const message = new Uint8Array(64).fill(46);
let tcp, udp, peer;

function address(text) {
  const at = text.lastIndexOf(":");
  return { hostname: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

async function median(times, action) {
  const all = new Float64Array(times);
  for (let n = 0; n < times; n++) {
    const start = performance.now();
    await action();
    all[n] = performance.now() - start;
  }
  all.sort();
  return `median ${(all[Math.floor(times / 2)] * 1000).toFixed(1)}us of ${times}`;
}

async function timed(action) {
  const start = performance.now();
  const bytes = await action();
  return `${bytes} bytes in ${Math.round((performance.now() - start) * 1000)}us`;
}

async function perform(words) {
  switch (words[0] === "median" ? words[2] : words[0]) {
    case "tcp.connect":
      if (words[0] === "median") {
        const to = address(words[3]);
        return "ok, " + await median(Number(words[1]), async () => (await Deno.connect(to)).close());
      }
      tcp = await Deno.connect(address(words[1]));
      tcp.setNoDelay(true);
      return "ok";
    case "tcp.ping":
      return await median(Number(words[2]), async () => {
        await tcp.write(message);
        const buffer = new Uint8Array(64);
        for (let length = 0; length < 64;) length += await tcp.read(buffer.subarray(length));
      });
    case "tcp.upload":
      return await timed(async () => {
        const chunk = new Uint8Array(CHUNK);
        for (let left = Number(words[2]); left > 0;) {
          left -= await tcp.write(chunk.subarray(0, Math.min(left, CHUNK)));
        }
        return words[2];
      });
    case "tcp.download":
      return await timed(async () => {
        const chunk = new Uint8Array(CHUNK);
        let bytes = 0;
        for (let length; (length = await tcp.read(chunk)) !== null;) bytes += length;
        return bytes;
      });
    case "udp.connect":
      peer = { transport: "udp", ...address(words[1]) };
      udp = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      return "ok";
    case "udp.ping":
      return await median(Number(words[2]), async () => {
        await udp.send(message, peer);
        await udp.receive();
      });
    case "print":
      return words.slice(1).join(" ");
  }
  throw new Error(`Deno's client knows no \`${words.join(" ")}\``);
}

for (const [at, statement] of Deno.args.entries()) {
  const line = `${at + 1} ${statement} => ${await perform(statement.split(" "))}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}
Deno.exit(0);
