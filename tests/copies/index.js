// A function that draws random numbers from generators of every kind, and does one kind of work in each event.

const fs = require("fs"), crypto = require("crypto"), zlib = require("zlib"), child = require("child_process");
const { Worker } = require("worker_threads");

Math.random();
crypto.randomUUID();
crypto.randomBytes(8);
const file = fs.openSync(__filename);
fs.readSync(file, Buffer.alloc(8), 0, 8);
const big = new Map(Array.from({ length: 20000 }, (_, n) => [n, [n]]));
const hot = n => { let sum = 0; for (let i = 0; i < n; i++) sum = (sum + i * i) % 1000003; return sum; };
for (let i = 0; i < 100; i++) hot(10000);
const right = hot(54321);
crypto.pbkdf2("a", "b", 10, 8, "sha256", () => {});
let ticks = 0;
setInterval(() => ticks++, 5).unref();
const busy = process.env.BUSY && new Worker(`
    const { parentPort, workerData } = require("worker_threads"), counter = new Int32Array(16);
    let n = 0; (function turn() { for (let i = 0; i < 1e5; i++) n = (n + i * i) % 1000003; parentPort.postMessage(n); setImmediate(turn); })();`, { eval: true });
let said = 0;
if (busy) { busy.on("message", () => said++); busy.unref(); }

const draw = () => ({
    random: Math.random(), more: [Math.random(), Math.random()].join(), uuid: crypto.randomUUID(), bytes: crypto.randomBytes(8).toString("hex"),
    int: crypto.randomInt(2 ** 47), web: Buffer.from(crypto.webcrypto.getRandomValues(new Uint8Array(8))).toString("hex"),
    fill: crypto.randomFillSync(Buffer.alloc(8)).toString("hex"), key: crypto.generateKeySync("aes", { length: 128 }).export().toString("hex"),
    temporary: (name => (fs.rmdirSync(name), name))(fs.mkdtempSync("/tmp/x-")) + "-" + crypto.randomUUID(),
});
const later = time => new Promise(resolve => setTimeout(resolve, time));
const called = (how, ...more) => new Promise((resolve, reject) => how(...more, (error, value) => error ? reject(error) : resolve(value)));

const kinds = {
    async timers() { const before = ticks; await later(40); await new Promise(setImmediate); return ticks > before; },
    async threads() {
        const keys = await Promise.all(Array.from({ length: 12 }, (_, n) => called(crypto.pbkdf2, "a", `${n}`, 50, 8, "sha256")));
        const zipped = await called(zlib.gzip, Buffer.alloc(100000));
        return [keys.length, (await called(zlib.gunzip, zipped)).length];
    },
    async files() {
        const before = fs.readdirSync("/tmp");
        await fs.promises.writeFile("/tmp/file", Buffer.alloc(1 << 20, "x"));
        const next = Buffer.alloc(4); fs.readSync(file, next, 0, 4);
        return [before, (await fs.promises.readFile("/tmp/file")).length, next.toString()];
    },
    async network({ key }) {
        const url = `${process.env.AWS_ENDPOINT_URL}/copies/${key}`;
        const at = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
        const headers = {
            "x-amz-date": at,
            Authorization: `AWS4-HMAC-SHA256 Credential=test/${at.slice(0, 8)}/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0`,
        };
        const put = await fetch(url, { method: "PUT", body: key, headers });
        const got = await (await fetch(url, { headers })).text();
        return [put.status, got === key];
    },
    async children() {
        const sync = child.spawnSync("/bin/sh", ["-c", "echo 42; kill -9 $$"]);
        return [sync.stdout.toString(), sync.signal, await called((command, then) => child.exec(command, (e, out) => then(e, out)), "echo later")];
    },
    async garbage() {
        for (let i = 0; i < 300; i++) new Array(10000).fill(i).map(n => ({ n }));
        return [big.size, big.get(19999)[0], hot(54321) === right];
    },
    async busy() { const before = said; for (let i = 0; i < 200 && said === before; i++) await later(5); return said > before; },
    async fail() { throw new RangeError("as it should"); },
    async crash() { process.abort(); },
    async kill() { process.kill(process.pid, "SIGKILL"); await later(1000); },
    async leave() { process.exit(3); },
    async hog() { const kept = []; for (;;) kept.push(Buffer.alloc(16 << 20, 1)); },
};

exports.handler = async (event, context) => {
    const drawn = draw();
    const did = await kinds[event.do](event);
    return { kind: process.env.AWS_LAMBDA_INITIALIZATION_TYPE, drawn, did, pid: process.pid, id: context.awsRequestId };
};
