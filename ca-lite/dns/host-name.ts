/**
 * Host names as they come in enrolment requests: letters, digits and hyphens (RFC 1123 section 2.1), lower-cased, at most 253
 * characters in labels of at most 63 (RFC 1035 section 2.3.4). Internationalised names come as A-labels (`xn--`), which are
 * letters, digits and hyphens too, and pass as they are.
 * Refused on purpose: underscores, wildcards, a trailing dot, Unicode, white space, and anything that a resolver or a client
 * might take for an IP address, which is every name whose last label is a number (`10.0.0.1`, `127.1`, `0x7f.0x1`).
 */

declare const hostNameBrand: unique symbol;
/** Lower case, without a trailing dot. Made by {@link parseHostName} alone. */
export type HostName = string & { readonly [hostNameBrand]: true };

const MAX_NAME_LENGTH = 253;
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const number = /^(?:[0-9]+|0x[0-9a-f]*)$/;

/** The name, or undefined for what is not one. A single label is a name: private networks have them. */
export function parseHostName(text: string): HostName | undefined {
  if (text.length > MAX_NAME_LENGTH || !/^[A-Za-z0-9.-]+$/.test(text)) return undefined;
  const name = text.toLowerCase();
  const labels = name.split('.');
  if (!labels.every((one) => label.test(one)) || number.test(labels.at(-1) ?? '')) return undefined;
  return name as HostName;
}
