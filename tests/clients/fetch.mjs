// Asks once and prints what came: node fetch.mjs URL stream|plain
const [url, kind] = process.argv.slice(2);
const body = JSON.stringify({ model: "m", messages: [], stream: kind === "stream" });
const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
const text = await answer.text();
process.stdout.write(JSON.stringify({ status: answer.status, text }));
