/** Answers word by word, as a model would. */

const ANSWERS = {
  hello: "Hello! Ask me what a mayfly is.",
  "what is a mayfly?": "An insect that lives for a day. Here: a process that lives for an event.",
};

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const asked = event.queryStringParameters?.ask ?? event.ask ?? "";
  if (event.rawPath) {
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: { "content-type": "text/plain" } });
  }
  const answer = ANSWERS[asked.trim().toLowerCase()] ?? "I do not know.";
  for (const word of answer.split(" ")) {
    stream.write(`${word} `);
    await pause(20);
  }
  stream.end("\n");
});
