// Libraries that are loaded, and used, before a copy is made: express, and version 3 of AWS's SDK.

const crypto = require("crypto");
const express = require("express");
const { S3Client, ListBucketsCommand, PutObjectCommand, GetObjectCommand } = require("@aws-sdk/client-s3");

const s3 = new S3Client({ forcePathStyle: true });
const app = express();
app.use(express.json());
app.use((request, response, next) => { response.set("X-Seen", "yes"); next(); });
app.post("/orders/:id", (request, response) => response.status(201).json({ id: request.params.id, ...request.body }));
let buckets;

exports.handler = async event => {
    buckets ??= (await s3.send(new ListBucketsCommand({}))).Buckets.map(one => one.Name);
    const Body = crypto.randomBytes(1000).toString("hex"), at = { Bucket: "libraries", Key: event.key };
    await s3.send(new PutObjectCommand({ ...at, Body }));
    const got = await (await s3.send(new GetObjectCommand(at))).Body.transformToString();
    const server = await new Promise(resolve => { const one = app.listen(0, "127.0.0.1", () => resolve(one)); });
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/orders/7`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ what: "copies" }),
    });
    const said = [answer.status, answer.headers.get("x-seen"), await answer.json()];
    server.close();
    return { kind: process.env.AWS_LAMBDA_INITIALIZATION_TYPE, buckets, same: got === Body, said };
};
