// Short links that nobody has to keep: the code of a link is the address itself, signed.

import { createHmac, timingSafeEqual } from 'node:crypto';

const secret = process.env.SECRET;
const page = '<!doctype html><form method="post"><input name="url"><button>Shorten</button></form>';

const signature = code => createHmac('sha256', secret).update(code).digest().subarray(0, 9).toString('base64url');

function shorten(url) {
  const code = Buffer.from(url).toString('base64url');
  return signature(code) + code;
}

function lengthen(link) {
  const [mark, code] = [Buffer.from(link.slice(0, 12)), link.slice(12)];
  const right = Buffer.from(signature(code));
  return code && mark.length === right.length && timingSafeEqual(mark, right)
    ? Buffer.from(code, 'base64url').toString()
    : null;
}

// What was sent, as JSON or as a form.
function fields(event) {
  const body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8').toString();
  const json = event.headers['content-type']?.startsWith('application/json');
  return json ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body));
}

function urlOf(event) {
  try {
    return String(fields(event)?.url ?? '');
  } catch {
    return '';
  }
}

export async function handler(event) {
  const method = event.requestContext.http.method;
  const path = event.rawPath.replace(/^\/+|\/+$/g, '');
  if (method === 'POST' && !path) {
    const url = urlOf(event);
    if (!/^https?:\/\//.test(url)) {
      return { statusCode: 400, body: JSON.stringify({ error: 'url must be an address' }) };
    }
    return {
      statusCode: 201,
      headers: { 'Content-Type': 'application/json' },
      cookies: [`last=${encodeURIComponent(url)}`],
      body: JSON.stringify({
        link: shorten(url), at: `${event.headers['x-forwarded-proto']}://${event.headers.host}`,
      }),
    };
  }
  if (method === 'GET' && !path) {
    return { statusCode: 200, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body: page };
  }
  const url = method === 'GET' ? lengthen(path) : null;
  return url
    ? { statusCode: 302, headers: { Location: url } }
    : { statusCode: 404, body: JSON.stringify({ error: 'no such link' }) };
}
