/**
 * Where the private half of a CA key lies, as the record of CA keys names it (column `secret`): a file in `secrets/`, an object of a YubiHSM,
 * or a key in a PKCS#11 token. Pure.
 */
import type { CertificateType } from '#openssh/certificate.ts';
import type { SignerSettings } from '../config/config.ts';
import type { SecretName } from '../directory/layout.ts';

export type KeyPlace =
  | { readonly kind: 'file'; readonly secret: SecretName }
  | { readonly kind: 'yubihsm'; readonly key: number; readonly template?: number }
  | { readonly kind: 'pkcs11'; readonly label?: string; readonly id?: string };

/** Where the first key is: made by `init`, or named in ca.toml. */
export function firstPlace(settings: SignerSettings, type: CertificateType): KeyPlace {
  if (settings.type === 'file') return { kind: 'file', secret: `ssh_${type}_ca` };
  if (settings.type === 'pkcs11') return { kind: 'pkcs11', ...settings[`${type}_ca`] };
  return { kind: 'yubihsm', ...settings[`${type}_ca`] };
}

export function formatKeyPlace(place: KeyPlace): string {
  switch (place.kind) {
    case 'file':
      return place.secret;
    case 'yubihsm':
      return `yubihsm:${place.key}${place.template === undefined ? '' : `:${place.template}`}`;
    case 'pkcs11':
      return `pkcs11:${place.id ?? ''}:${place.label ?? ''}`;
  }
}

/** What `formatKeyPlace` made; undefined for anything else. */
export function parseKeyPlace(text: string): KeyPlace | undefined {
  if (/^ssh_(host|user)_ca(_\d+)?$/.test(text)) return { kind: 'file', secret: text as SecretName };
  const [, key, template] = /^yubihsm:(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (key !== undefined)
    return { kind: 'yubihsm', key: Number(key), ...(template !== undefined && { template: Number(template) }) };
  const [, id, label] = /^pkcs11:((?:[0-9a-f]{2})*):(.*)$/s.exec(text) ?? [];
  if (id === undefined || label === undefined || id + label === '') return undefined;
  return { kind: 'pkcs11', ...(label !== '' && { label }), ...(id !== '' && { id }) };
}

/** For people. */
export function describePlace(place: KeyPlace): string {
  switch (place.kind) {
    case 'file':
      return `secrets/${place.secret}.key`;
    case 'yubihsm':
      return `the key 0x${place.key.toString(16).padStart(4, '0')} of the YubiHSM`;
    case 'pkcs11':
      return `the key ${place.label === undefined ? `with the id ${place.id ?? ''}` : `"${place.label}"`} of the PKCS#11 token`;
  }
}
